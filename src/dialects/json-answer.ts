/**
 * Reads single members of a JSON answer. The rest is never parsed: answers can be megabytes.
 */
import { asBuffer, parseJsonBytes } from './json-value.ts'
import { scanObject } from './json-members.ts'

/** Parses the named member; undefined when it is absent. There is no reader when the bytes are no object. */
export function memberReader(body: Uint8Array): ((name: string) => unknown) | undefined {
  const object = scanObject(body)
  if (object.kind === 'fault') return undefined
  return (name) => {
    const member = object.members.findLast(({ key }) => key === name)
    return member && parseJsonBytes(body, member.valueStart, member.valueEnd)
  }
}

/**
 * The output of an answer that shows none where it should be: all of it, so that no token is missed. Unread is never
 * free.
 */
export function wholeText(body: Uint8Array): readonly string[] {
  return body.length === 0 ? [] : [asBuffer(body).toString('utf8')]
}
