/**
 * Patterns in which `*` stands for any text, also none; every other character stands for itself. Matched by searching
 * for the fixed parts from left to right, so the work is bounded by the lengths: no expression of any kind is built.
 */
export function compileGlob(pattern: string): (value: string) => boolean {
  const [head = '', ...rest] = pattern.split('*')
  const tail = rest.pop()
  if (tail === undefined) return (value) => value === pattern
  return (value) => {
    if (!value.startsWith(head) || !value.endsWith(tail) || value.length < head.length + tail.length) return false
    let from = head.length
    for (const part of rest) {
      const at = value.indexOf(part, from)
      if (at < 0) return false
      from = at + part.length
    }
    return from <= value.length - tail.length
  }
}
