import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

/** The checkout. */
export const ROOT = join(import.meta.dirname, '../..')

/** What every rule of tidiness looks at: a path from the root of the checkout, with forward slashes, and a text. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** A place where a rule is broken, as `path:line: what and how to mend it`. */
export type Finding = string

/** Reads every file below `folder` whose name ends in one of `endings`, in the order of their paths. */
export function readTree(folder: string, endings: readonly string[]): readonly SourceFile[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => read(join(entry.parentPath, entry.name)))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** Folders that tools make beside what git is told to ignore. */
const TOOL_FOLDERS = ['.git/', '.vitest/']

/** Reads every file of the checkout that git would keep, with one of `endings`. */
export function readCheckout(endings: readonly string[]): readonly SourceFile[] {
  const ignored = new Set([...TOOL_FOLDERS, ...readFileSync(join(ROOT, '.gitignore'), 'utf8').split('\n')])
  const entries = readdirSync(ROOT, { withFileTypes: true })
  const folders = entries.filter((entry) => entry.isDirectory() && !ignored.has(`${entry.name}/`))
  return [
    ...entries
      .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
      .map((entry) => read(join(ROOT, entry.name))),
    ...folders.flatMap((entry) => readTree(entry.name, endings)),
  ]
}

function read(file: string): SourceFile {
  return { path: relative(ROOT, file).split(sep).join('/'), text: readFileSync(file, 'utf8') }
}

/** The line, from 1, of an offset in a text. */
export function lineAt(text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line += 1
  return line
}
