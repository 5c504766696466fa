import { windowAt } from '../domain/window.ts'
import { UsageError } from './output.ts'

/** A calendar month of one zone, in epoch milliseconds. */
export interface Month {
  readonly name: string
  readonly startMs: number
  readonly endMs: number
}

/** The month `yyyy-mm` in a zone, or the one that contains `nowMs`. */
export function monthAt(text: string | undefined, timeZone: string, nowMs: number): Month {
  const match = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(text ?? '')
  if (text !== undefined && match === null) throw new UsageError(`--month ${text}: write it as yyyy-mm, e.g. 2026-11`)
  // The 15th is inside the month in every zone.
  const insideMs = match === null ? nowMs : Date.UTC(Number(match[1]), Number(match[2]) - 1, 15)
  let window: { readonly startMs: number; readonly endMs: number } | null
  try {
    window = windowAt('month', timeZone, insideMs)
  } catch {
    throw new UsageError(`--timezone ${timeZone}: an IANA name such as Europe/Berlin`)
  }
  if (window === null) throw new UsageError(`--month ${text ?? ''}: has no bounds`)
  const name = match === null ? nameOf(insideMs, timeZone) : `${match[1]}-${match[2]}`
  return { name, ...window }
}

function nameOf(atMs: number, timeZone: string): string {
  const parts = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit' }).formatToParts(atMs)
  const part = (type: string) => parts.find((entry) => entry.type === type)?.value ?? ''
  return `${part('year')}-${part('month')}`
}
