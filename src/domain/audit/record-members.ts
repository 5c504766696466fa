/**
 * Reading records back: a record from disk is data whose members may be anything, so each is read as what it should be
 * or as empty, never believed.
 */
import type { RecordValue } from './audit-record.ts'

export type Members = { readonly [key: string]: RecordValue | undefined }

/** A member that is an object, or an empty one. */
export function membersOf(value: RecordValue | undefined): Members {
  return typeof value === 'object' && !isList(value) ? value : {}
}

/** A member that is a list, or an empty one. */
export function listOf(value: RecordValue | undefined): readonly RecordValue[] {
  return isList(value) ? value : []
}

function isList(value: RecordValue | undefined): value is readonly RecordValue[] {
  return Array.isArray(value)
}

/** A member that is a text, or an empty one. */
export function textOf(value: RecordValue | undefined): string {
  return typeof value === 'string' ? value : ''
}
