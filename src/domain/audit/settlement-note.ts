/**
 * What a ledger remembers of a settlement: a log that lost its record in a crash gets it back as it was, so that ledger and
 * log go on agreeing. Short, because the ledger keeps one for each call of the last minutes.
 */
import type { RecordDraft } from './audit-record.ts'
import { formatUsd, parseFormattedUsd, toNanoUsd } from '../prices/money.ts'
import type { NanoUsd } from '../prices/money.ts'
import { listOf, membersOf } from './record-members.ts'
import { crashRecord } from './records.ts'
import type { Settlement } from '../settlement.ts'

interface SettlementNote {
  readonly out: string
  readonly status: number
  readonly basis: string
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cost: NanoUsd
  /** What each charge became, in the order of the decision's charges. */
  readonly amounts: readonly number[]
}

export function writeNote({ ending, basis, usage, cost, amounts }: Settlement): string {
  const { inputTokens, outputTokens } = usage
  return JSON.stringify([ending.word, ending.status, basis, inputTokens, outputTokens, formatUsd(cost), amounts])
}

/** The record that closes a decision whose process died after the ledger had settled it; without a readable note, at its bound. */
export function closingRecord(decision: RecordDraft, id: string, noteText: string | undefined): RecordDraft {
  const note = noteText === undefined ? undefined : readNote(noteText)
  const crash = crashRecord(decision, id)
  return note === undefined ? crash : { ...crash, ...noted(crash, note) }
}

function noted(crash: RecordDraft, note: SettlementNote): { readonly [member: string]: RecordDraft[string] } {
  const { est, act: bound } = membersOf(crash['usd'])
  const upper = typeof bound === 'string' ? parseFormattedUsd(bound) : undefined
  const delta = toNanoUsd(note.cost - (upper ?? note.cost))
  return {
    out: note.out,
    http: note.status,
    basis: note.basis,
    use: { in: note.inputTokens, out: note.outputTokens },
    usd: { est, act: formatUsd(note.cost), delta: formatUsd(delta) },
    bkt: listOf(crash['bkt']).map((entry, index) => {
      const bucket = membersOf(entry)
      const amount = note.amounts[index]
      if (amount === undefined) return bucket
      return { ...bucket, act: bucket['unit'] === 'usd' ? formatUsd(toNanoUsd(BigInt(amount))) : amount }
    }),
    flags: ['settlement_recovered'],
  }
}

/** Undefined for what this version does not write: another one may share the ledger. */
function readNote(text: string): SettlementNote | undefined {
  const [out, status, basis, inputTokens, outputTokens, usd, amounts] = parseList(text)
  const cost = typeof usd === 'string' ? parseFormattedUsd(usd) : undefined
  if (typeof out !== 'string' || typeof basis !== 'string' || cost === undefined) return undefined
  if (!isCount(status) || !isCount(inputTokens) || !isCount(outputTokens)) return undefined
  if (!Array.isArray(amounts) || !amounts.every(isCount)) return undefined
  return { out, status, basis, inputTokens, outputTokens, cost, amounts }
}

function parseList(text: string): readonly unknown[] {
  try {
    const parsed: unknown = JSON.parse(text)
    return Array.isArray(parsed) ? parsed : []
  } catch {
    return []
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
