import { mask } from './mask.ts'
import { lineAt } from './source.ts'
import type { Finding, SourceFile } from './source.ts'

/** A name, a literal or an opening bracket after `as` makes it a cast, if nothing below says otherwise. */
const CAST = /\bas\s+(?!const\b)[\w$({['"`]/g

/**
 * Casts without a proof. The compiler believes a cast, so each carries its proof in a comment on its own line, or on
 * the line above it. Renames in imports and exports, and keys of mapped types, are not casts.
 */
export function findBareCasts(files: readonly SourceFile[]): readonly Finding[] {
  return files.flatMap(({ path, text }) => {
    const code = mask(text, { strings: true })
    const plain = withoutRenames(code)
    const lines = text.split('\n')
    const codeLines = code.split('\n')
    return [...new Set([...plain.matchAll(CAST)].map(({ index }) => lineAt(text, index)))]
      .filter(
        (line) => !hasComment(lines[line - 1], codeLines[line - 1]) && !isComment(lines[line - 2], codeLines[line - 2]),
      )
      .map((line) => `${path}:${line}: a cast needs its proof in a comment on this line or the one above`)
  })
}

/** Blanks `import {a as b}`, `import * as a`, `export {a as b}` and `[K in T as U]`. */
function withoutRenames(code: string): string {
  return code
    .replaceAll(/\b(?:import|export)\b(?:\s+type\b)?\s*(?:\w+\s*,\s*)?(?:\{[^}]*\}|\*\s*as\s+\w+)/g, blank)
    .replaceAll(/\[\s*\w+\s+in\s+[^\]]*?\bas\b/g, blank)
}

function blank(text: string): string {
  return text.replaceAll(/[^\n]/g, ' ')
}

/** Where the masked line is shorter than the line itself, the rest is a comment (or the end of a literal). */
function hasComment(line = '', code = ''): boolean {
  return line !== code && /\/\/|\/\*|\*\//.test(line) && code.trimEnd().length < line.trimEnd().length
}

function isComment(line = '', code = ''): boolean {
  return line.trim() !== '' && code.trim() === ''
}
