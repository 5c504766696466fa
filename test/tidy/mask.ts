/**
 * Blanks out what is not code. TypeScript 7 offers no stable parser to scripts, and a rule that searches plain text
 * would find `as`, `console` and `from` in prose. Blanked characters become spaces and line ends stay, so offsets and
 * line numbers are those of the original. Where a guess is needed (is this slash a division?) the characters before
 * decide, which is right for code in the house format.
 */
export function mask(text: string, { strings }: Mask): string {
  const spans: Span[] = []
  skipCode(text, 0, spans)
  let masked = ''
  let from = 0
  for (const { kind, start, end } of spans) {
    if (kind === 'literal' && !strings) continue
    masked += text.slice(from, start) + text.slice(start, end).replaceAll(/[^\n]/g, ' ')
    from = end
  }
  return masked + text.slice(from)
}

export interface Mask {
  /** Blank the inside of strings, templates and regular expressions too; comments always are. */
  readonly strings: boolean
}

/** A comment, or the inside of a literal without its marks; spans are found in order and never overlap. */
interface Span {
  readonly kind: 'comment' | 'literal'
  readonly start: number
  readonly end: number
}

/** Walks code up to the end, or to the brace that closes the one before `from`; gives where it stopped. */
function skipCode(text: string, from: number, spans: Span[]): number {
  let depth = 0
  let at = from
  while (at < text.length) {
    if (text[at] === '{') depth += 1
    if (text[at] === '}') {
      if (depth === 0 && from > 0) return at
      depth -= 1
    }
    at = skipOne(text, at, spans)
  }
  return at
}

/** Steps over one comment, literal or character. */
function skipOne(text: string, at: number, spans: Span[]): number {
  const char = text.charAt(at)
  if (char === '`') return skipTemplate(text, at + 1, spans)
  if (text.startsWith('//', at)) return note('comment', at, endOf(text, '\n', at), spans)
  if (text.startsWith('/*', at)) return note('comment', at, endOf(text, '*/', at + 2) + 2, spans)
  if (char === "'" || char === '"') return note('literal', at + 1, quoteEnd(text, at + 1, char), spans) + 1
  if (char === '/' && startsRegex(text, at)) return note('literal', at + 1, regexEnd(text, at + 1), spans) + 1
  return at + 1
}

function note(kind: Span['kind'], start: number, end: number, spans: Span[]): number {
  spans.push({ kind, start, end })
  return end
}

/** The text of a template is a literal, what stands in its `${}` is code. */
function skipTemplate(text: string, from: number, spans: Span[]): number {
  let at = from
  while (at < text.length) {
    let end = at
    while (end < text.length && text[end] !== '`' && !text.startsWith('${', end)) end += text[end] === '\\' ? 2 : 1
    note('literal', at, end, spans)
    if (text[end] === '`') return end + 1
    at = skipCode(text, end + 2, spans) + 1
  }
  return at
}

function endOf(text: string, mark: string, from: number): number {
  const end = text.indexOf(mark, from)
  return end === -1 ? text.length : end
}

/** A quoted string ends at its quote, or at the end of the line if it never closes. */
function quoteEnd(text: string, from: number, quote: string): number {
  let at = from
  while (at < text.length && text[at] !== quote && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1
  return at
}

/** A slash in a class does not close a regular expression. */
function regexEnd(text: string, from: number): number {
  let at = from
  let inClass = false
  while (at < text.length && text[at] !== '\n' && (inClass || text[at] !== '/')) {
    if (text[at] === '[') inClass = true
    if (text[at] === ']') inClass = false
    at += text[at] === '\\' ? 2 : 1
  }
  return at
}

/** How much of the text before a slash is read to tell what the slash is: more than any keyword and its spaces. */
const LOOK_BACK = 60

/** A slash begins a regular expression where no value can have ended before it. */
function startsRegex(text: string, at: number): boolean {
  const before = text.slice(Math.max(0, at - LOOK_BACK), at).trimEnd()
  return before === '' || /[(,=:[!&|?{};+\-*%~^<>]$|\b(?:return|typeof|case|in|of)$/.test(before)
}
