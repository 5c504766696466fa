import type { Finding, SourceFile } from './source.ts'

/** From here on a file probably holds a second concept. */
export const LINES_USUAL_MAX = 250
/** No file of code is longer, whatever the reason. */
export const LINES_MAX = 400

/** Files above the usual size with the size they have. A row may only shrink, and goes when the file is usual again. */
const LONG_FILES: Readonly<Record<string, number>> = {}

export function findLongFiles(
  files: readonly SourceFile[],
  exceptions: Readonly<Record<string, number>> = LONG_FILES,
): readonly Finding[] {
  const sizes = new Map(files.map(({ path, text }) => [path, text.split('\n').length - (text.endsWith('\n') ? 1 : 0)]))
  const stale = Object.keys(exceptions)
    .filter((path) => (sizes.get(path) ?? 0) <= LINES_USUAL_MAX)
    .map((path) => `${path}: is not long; remove its row from the list of long files`)
  const long = [...sizes].flatMap(([path, lines]) => {
    if (lines <= LINES_USUAL_MAX) return []
    if (lines > LINES_MAX) return [`${path}: ${lines} lines, and ${LINES_MAX} is the cap; divide it`]
    const recorded = Object.hasOwn(exceptions, path) ? exceptions[path] : undefined
    if (recorded === undefined) return [`${path}: ${lines} lines, over ${LINES_USUAL_MAX}; find its second concept`]
    if (lines > recorded) return [`${path}: grew from ${recorded} to ${lines} lines; a long file may only shrink`]
    return lines < recorded ? [`${path}: shrank; lower its row in the list of long files to ${lines}`] : []
  })
  return [...stale, ...long]
}
