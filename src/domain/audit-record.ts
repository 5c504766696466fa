/**
 * What is remembered of each event. A draft has everything but `log`, `seq` and `t`, which the log itself assigns when
 * it puts the record in order. Keys are lower case, numbers are integers, money is a string with nine decimals, times are
 * RFC 3339 in UTC with three decimals; an absent value has no key. No content, no credential, no name of a person.
 */

/** A JSON value as records may hold it: no floats, no null. */
export type RecordValue =
  | string
  | number
  | boolean
  | readonly RecordValue[]
  | { readonly [key: string]: RecordValue | undefined }

export type RecordType =
  | 'genesis'
  | 'open'
  | 'recover'
  | 'close'
  | 'decision'
  | 'settle'
  | 'auth_failed'
  | 'policy'
  | 'price'

/** A record before the log has ordered it. Keys other than these must not be `log`, `seq` or `t`. */
export interface RecordDraft {
  readonly v: 1
  readonly type: RecordType
  /** UUIDv7 of the event. */
  readonly id: string
  readonly [key: string]: RecordValue | undefined
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
