/**
 * Whether a JSON text names a member twice in one object. `JSON.parse` keeps the last one and other parsers the first, so
 * such a token can say one thing to its issuer's checks and another to ours (RFC 8725 section 2.4 leaves it to us).
 *
 * The text must already have passed `JSON.parse`: the scan relies on its being well-formed.
 */
export function hasDuplicateKeys(text: string): boolean {
  /** One entry for each open bracket: the keys of an object, or undefined for a list. */
  const open: (Set<string> | undefined)[] = []
  let isKeyNext = false
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]
    if (character === '"') {
      const end = endOfString(text, at)
      const keys = open.at(-1)
      if (isKeyNext && keys !== undefined && !added(keys, text.slice(at, end + 1))) return true
      isKeyNext = false
      at = end
    } else if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : undefined)
      isKeyNext = character === '{'
    } else if (character === '}' || character === ']') {
      open.pop()
      isKeyNext = false
    } else if (character === ',') {
      isKeyNext = open.at(-1) !== undefined
    }
  }
  return false
}

/** False when the key is there already, also when it is spelled with other escapes. */
function added(keys: Set<string>, literal: string): boolean {
  const key = String(JSON.parse(literal))
  if (keys.has(key)) return false
  keys.add(key)
  return true
}

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}
