/**
 * Reads single members of a JSON answer. The rest is never parsed: answers can be megabytes.
 */
import { scanObject } from './json-members.ts'
import { parseJsonBytes } from './json-value.ts'

/** Parses the named member; undefined when it is absent. There is no reader when the bytes are no object. */
export function memberReader(body: Uint8Array): ((name: string) => unknown) | undefined {
  const object = scanObject(body)
  if (object.kind === 'fault') return undefined
  return (name) => {
    const member = object.members.findLast(({ key }) => key === name)
    return member && parseJsonBytes(body, member.valueStart, member.valueEnd)
  }
}
