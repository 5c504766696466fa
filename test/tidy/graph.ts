import { importGraph } from './imports.ts'
import type { Finding, SourceFile } from './source.ts'

/** Where a running gateway begins; whatever is not reached from here is dead. Workers are reached by their URL. */
const ENTRY = 'src/main.ts'

/** Circles of imports, each named once by its files in order. */
export function findCircles(files: readonly SourceFile[]): readonly Finding[] {
  const graph = importGraph(files)
  const circles: Finding[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]) => {
    const seenAt = trail.indexOf(path)
    if (seenAt !== -1) circles.push([...trail.slice(seenAt), path].join(' -> '))
    if (seenAt !== -1 || done.has(path)) return
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return circles
}

/** Files that no import, and no worker, leads to from the entry. */
export function findDeadFiles(files: readonly SourceFile[]): readonly Finding[] {
  const graph = importGraph(files)
  const reached = new Set<string>()
  const waiting = [ENTRY]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reached.has(path)) continue
    reached.add(path)
    waiting.push(...(graph.get(path) ?? []))
  }
  return files
    .filter(({ path }) => !reached.has(path))
    .map(({ path }) => `${path}: nothing leads here from ${ENTRY}; use it or remove it`)
}

/** Files beside the code (scripts for Redis, styles) that no file of code names. */
export function findDeadAssets(files: readonly SourceFile[], assets: readonly SourceFile[]): readonly Finding[] {
  return assets
    .filter(({ path }) => {
      const name = path.slice(path.lastIndexOf('/') + 1).replace(/\.[a-z]+$/, '')
      return !files.some(({ text }) => text.includes(name))
    })
    .map(({ path }) => `${path}: no file of src names it; use it or remove it`)
}
