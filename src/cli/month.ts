import { windowAt } from '../domain/ledger/window.ts'
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
  try {
    const found = windowAt({ period: 'month', timeZone, atMinutes: 0, weekStart: 0 }, insideMs)
    if (found === null) throw new UsageError(`--month ${text ?? ''}: has no bounds`)
    return { name: found.name, ...found.window }
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`--timezone ${timeZone}: an IANA name such as Europe/Berlin`)
  }
}
