/**
 * Replaces single values in a JSON object while every other byte stays as it was.
 */
import type { ScannedObject } from './json-members.ts'

/** Replaces the bytes from `start` up to `end`; equal offsets insert. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** The bytes with all edits applied; edits must not overlap. Without edits it is the very same array. */
export function splice(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  if (edits.length === 0) return bytes
  const pieces: Uint8Array[] = []
  let at = 0
  for (const edit of [...edits].sort((left, right) => left.start - right.start)) {
    pieces.push(bytes.subarray(at, edit.start), Buffer.from(edit.text, 'utf8'))
    at = edit.end
  }
  pieces.push(bytes.subarray(at))
  return Buffer.concat(pieces)
}

/** The edit that gives the object a member with this value (JSON text): in place when it has one, else as its first. */
export function setMember(object: ScannedObject, key: string, json: string): Edit {
  const member = object.members.find((candidate) => candidate.key === key)
  if (member) return { start: member.valueStart, end: member.valueEnd, text: json }
  const at = object.start + 1
  return { start: at, end: at, text: `${JSON.stringify(key)}:${json}${object.members.length > 0 ? ',' : ''}` }
}
