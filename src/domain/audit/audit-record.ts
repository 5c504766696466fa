/**
 * What is remembered of each event. A draft has everything but `log`, `seq` and `t`, which the log itself assigns when
 * it puts the record in order. Keys are lower case, numbers are integers, money is a string with nine decimals, times are
 * RFC 3339 in UTC with three decimals; an absent value has no key. No content, no credential, no name of a person.
 */
import { canonicalJson, CanonicalText } from './canonical-json.ts'

/** A JSON value as records may hold it: no floats, no null. */
export type RecordValue =
  | string
  | number
  | boolean
  | readonly RecordValue[]
  | { readonly [key: string]: RecordValue | undefined }

export const RECORD_TYPES = [
  'genesis',
  'open',
  'recover',
  'close',
  'decision',
  'settle',
  'auth_failed',
  'policy',
  'price',
  'ledger',
] as const

export type RecordType = (typeof RECORD_TYPES)[number]

/** A record before the log has ordered it. Keys other than these must not be `log`, `seq` or `t`. */
export interface RecordDraft {
  readonly v: 1
  readonly type: RecordType
  /** UUIDv7 of the event. */
  readonly id: string
  readonly [key: string]: RecordValue | undefined
}

/** A draft of which some members are text already; what the log itself reads (`dec`, `ref`) is not among them. */
export interface WrittenDraft {
  readonly v: 1
  readonly type: RecordType
  readonly id: string
  readonly [key: string]: RecordValue | CanonicalText | undefined
}

/** A record as it stands in the log. */
export interface AuditRecord extends RecordDraft {
  /** Origin of the log; binds the record to it. */
  readonly log: string
  /** Leaf index, dense from 0. */
  readonly seq: number
  /** When it was put in order; never earlier than the record before it. */
  readonly t: string
}

/** Written and signed before the first caller can append: only a log of nothing else may have no checkpoint yet. */
export const BEFORE_USE = ['genesis', 'recover', 'open'] as const satisfies readonly RecordType[]

/** Longest line of a record in bytes: an entry of a C2SP tlog-tiles bundle has a 16-bit length. */
export const RECORD_BYTES_MAX = 65_535

/**
 * A draft as canonical text with room for what the log adds: the members whose keys sort before `log`, before `seq`,
 * before `t`, and after it. Whoever orders the records only joins texts and never parses.
 */
export type RecordParts = readonly [string, string, string, string]

const ASSIGNED_BY_LOG: ReadonlySet<string> = new Set(['log', 'seq', 't'])

export function recordParts(draft: WrittenDraft): RecordParts {
  const parts: [string, string, string, string] = ['', '', '', '']
  let slot: Slot = 0
  let run: Run = {}
  for (const key of inOrder(Object.keys(draft))) {
    const value = draft[key]
    if (value === undefined) continue
    if (ASSIGNED_BY_LOG.has(key)) throw new TypeError(`record.${key}: only the log assigns it`)
    const own = slotOf(key)
    const isText = value instanceof CanonicalText
    if (own !== slot || isText) {
      parts[slot] += membersOf(run)
      run = {}
      slot = own
    }
    if (isText) parts[slot] += `${JSON.stringify(key)}:${value.text},`
    else run[key] = value
  }
  parts[slot] += membersOf(run)
  // The last part holds `type` and `v`, so it ends in a comma that nothing follows.
  parts[3] = parts[3].slice(0, -1)
  return parts
}

type Slot = 0 | 1 | 2 | 3

/** Members that stand side by side and are written at once. */
type Run = { [key: string]: RecordValue }

function slotOf(key: string): Slot {
  if (key < 'log') return 0
  if (key < 'seq') return 1
  return key < 't' ? 2 : 3
}

function inOrder(keys: readonly string[]): readonly string[] {
  return keys.every((key, index) => index === 0 || (keys[index - 1] ?? '') < key) ? keys : keys.toSorted()
}

/** The members as text without their braces, each followed by a comma. */
function membersOf(run: Run): string {
  const text = canonicalJson(run, 'record')
  return text === '{}' ? '' : `${text.slice(1, -1)},`
}

/** RFC 8785 text of the record, without a line end. */
export function recordLine(parts: RecordParts, place: { log: string; seq: number; timeMs: number }): string {
  const log = `"log":${JSON.stringify(place.log)},`
  return `{${parts[0]}${log}${parts[1]}"seq":${place.seq},${parts[2]}"t":"${recordTime(place.timeMs)}",${parts[3]}}`
}

/** RFC 3339 in UTC with three decimals. */
export function recordTime(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

const TIME_PATTERN = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u

/** The record of a line; undefined when the line is no record. Whether it is genuine is for its hash to say. */
export function parseRecord(line: Uint8Array): AuditRecord | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.length).toString('utf8'))
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Checks the envelope alone: a reader of members must expect any of them to be absent. */
function isRecord(value: unknown): value is AuditRecord {
  if (typeof value !== 'object' || value === null) return false
  const { v, type, id, log, seq, t }: Record<string, unknown> = { ...value }
  const hasNames = v === 1 && typeof type === 'string' && typeof id === 'string' && typeof log === 'string'
  return hasNames && Number.isSafeInteger(seq) && Number(seq) >= 0 && typeof t === 'string' && TIME_PATTERN.test(t)
}

/** What a record does to the set of calls whose settlement is owed. */
export type Settles = { readonly kind: 'opens' | 'closes'; readonly decisionId: string } | { readonly kind: 'neither' }

/** An admitted call owes a settlement; a settlement pays it. */
export function settlesOf(record: WrittenDraft): Settles {
  if (record.type === 'decision') {
    const out = memberOf(record['dec'], 'out')
    return out === 'admit' || out === 'degrade' ? { kind: 'opens', decisionId: record.id } : { kind: 'neither' }
  }
  const reference = record.type === 'settle' ? memberOf(record['ref'], 'id') : undefined
  return reference === undefined ? { kind: 'neither' } : { kind: 'closes', decisionId: reference }
}

/** A string member of a nested object of a record. */
export function memberOf(value: RecordValue | CanonicalText | undefined, key: string): string | undefined {
  if (typeof value !== 'object') return undefined
  const member: unknown = Object.getOwnPropertyDescriptor(value, key)?.value
  return typeof member === 'string' ? member : undefined
}
