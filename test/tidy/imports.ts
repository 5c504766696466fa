import { posix } from 'node:path'
import { mask } from './mask.ts'
import { lineAt } from './source.ts'
import type { Finding, SourceFile } from './source.ts'

export interface Import {
  readonly specifier: string
  readonly line: number
}

/** Each way in which one module can name another; type-only imports and worker entries count like any other. */
const FORMS = [
  /\b(?:import|export)\b[^'"`;]*?\bfrom\s*(['"])(?<specifier>[^'"\n]+)\1/g,
  /\bimport\s*(['"])(?<specifier>[^'"\n]+)\1/g,
  /\bimport\s*\(\s*(['"])(?<specifier>[^'"\n]+)\1/g,
  /\bnew URL\(\s*(['"])(?<specifier>\.{1,2}\/[^'"\n]+\.ts)\1\s*,\s*import\.meta\.url/g,
]

/** Every import of a file, in any form. */
export function importsOf({ text }: SourceFile): readonly Import[] {
  const code = mask(text, { strings: false })
  return FORMS.flatMap((form) =>
    [...code.matchAll(form)].map(({ index, 0: whole, groups }) => ({
      specifier: groups?.['specifier'] ?? '',
      line: lineAt(text, index + whole.length),
    })),
  )
}

/** The path that a relative specifier names, or undefined for a package or a built-in module. */
export function targetOf(path: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : undefined
}

/** The package that a specifier names: `openai/core/x` is `openai`, `@a/b/c` is `@a/b`. */
export function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

/** Which file imports which: only files that are there, each once. */
export function importGraph(files: readonly SourceFile[]): ReadonlyMap<string, readonly string[]> {
  const known = new Set(files.map(({ path }) => path))
  return new Map(
    files.map((file) => {
      const targets = importsOf(file).flatMap(({ specifier }) => targetOf(file.path, specifier) ?? [])
      return [file.path, [...new Set(targets.filter((target) => known.has(target)))]]
    }),
  )
}

/** An import whose target is computed, or hidden in `require`, would pass every rule about imports unseen. */
export function findHiddenImports(files: readonly SourceFile[]): readonly Finding[] {
  return files.flatMap(({ path, text }) =>
    [...mask(text, { strings: false }).matchAll(/\bimport\s*\(\s*(?!['"\s])|\brequire\s*\(|\bcreateRequire\b/g)].map(
      ({ index }) => `${path}:${lineAt(text, index)}: name the module in a plain import`,
    ),
  )
}
