/**
 * Price files -> the price table in force. Either everything is right and there is a table, or nothing is loaded and every
 * problem is named with its place: half a price table would refuse or misprice at random.
 */
import type { PriceTable, ServiceTiers } from '../../domain/prices/prices.ts'
import { compileEntry, compileTable } from './pricing-compile.ts'
import { changeFindings } from './pricing-comparisons.ts'
import type { Finding } from './pricing-finding.ts'
import { checkModel } from './pricing-rules.ts'
import type { PriceFileModel } from './pricing-schema.ts'
import { findPriceFiles, readPriceFile, type Path, type PriceProblem, type PriceSource } from './pricing-source.ts'

export type LoadedPrices =
  | { readonly kind: 'loaded'; readonly table: PriceTable; readonly warnings: readonly PriceProblem[] }
  | { readonly kind: 'invalid'; readonly problems: readonly PriceProblem[]; readonly warnings: readonly PriceProblem[] }

export interface LoadPricesOptions {
  /** Against which the age of a check is measured. */
  readonly nowMs: number
  /** The table in force, when there is one: larger changes against it need a confirmation. */
  readonly previous?: PriceTable | undefined
}

/** One model as written, with its file. */
interface Entry {
  readonly source: PriceSource
  readonly model: PriceFileModel
  readonly path: Path
}

type Report = (problem: PriceProblem, severity: Finding['severity']) => void

/** Loads files and folders of price files. Their order does not matter. */
export async function loadPrices(paths: string | readonly string[], options: LoadPricesOptions): Promise<LoadedPrices> {
  const files = await findPriceFiles(typeof paths === 'string' ? [paths] : paths)
  if (!Array.isArray(files)) return { kind: 'invalid', problems: [files], warnings: [] }
  const problems: PriceProblem[] = []
  const sources: PriceSource[] = []
  for (const file of files) {
    const read = await readPriceFile(file)
    if ('content' in read) sources.push(read)
    else problems.push(...read)
  }
  if (problems.length > 0) return { kind: 'invalid', problems, warnings: [] }
  return compile(sources, options)
}

function compile(sources: readonly PriceSource[], options: LoadPricesOptions): LoadedPrices {
  const problems: PriceProblem[] = []
  const warnings: PriceProblem[] = []
  const report: Report = (problem, severity) => (severity === 'error' ? problems : warnings).push(problem)
  const all = sources.flatMap((source) =>
    source.content.models.map((model, i): Entry => ({ source, model, path: ['models', i] })),
  )
  const tiers = joinServiceTiers(sources, report)
  const entries = applyOverrides(all, report)
  for (const entry of all) reportFindings(entry, checkModel(entry.model, options.nowMs), report)
  reportNames(entries, report)
  if (problems.length > 0) return { kind: 'invalid', problems, warnings }
  const compiled = entries.map(({ source, model }) => {
    const { provider } = source.content
    return compileEntry(provider, model, tiers.get(provider))
  })
  for (const entry of entries) reportChanges(entry, options.previous, report)
  if (problems.length > 0) return { kind: 'invalid', problems, warnings }
  return { kind: 'loaded', table: compileTable(compiled), warnings }
}

/** One meaning of the tier words for each provider; two files that differ would make it depend on their order. */
function joinServiceTiers(sources: readonly PriceSource[], report: Report): Map<string, ServiceTiers> {
  const tiers = new Map<string, ServiceTiers>()
  for (const source of sources) {
    const { provider, service_tiers } = source.content
    if (service_tiers === undefined) continue
    if (tiers.has(provider)) {
      report(
        source.problem('V11', ['service_tiers'], `are given for ${provider} by another file too; keep one`),
        'error',
      )
    }
    tiers.set(provider, service_tiers)
  }
  return tiers
}

/** Replaces listed entries by those that say they override them. */
function applyOverrides(all: readonly Entry[], report: Report): Entry[] {
  const overriding = new Map<string, Entry>()
  for (const entry of all.filter(({ model }) => model.overrides)) {
    const key = keyOf(entry, entry.model.id)
    const isListed = all.some((other) => !other.model.overrides && keyOf(other, other.model.id) === key)
    if (!isListed) report(problemAt(entry, ['overrides'], 'V11', 'overrides an entry that no file has'), 'error')
    if (overriding.has(key)) report(problemAt(entry, ['id'], 'V11', 'is overridden twice; keep one'), 'error')
    overriding.set(key, entry)
  }
  return all.flatMap((entry) => {
    if (entry.model.overrides) return []
    const override = overriding.get(keyOf(entry, entry.model.id))
    if (override === undefined) return [entry]
    const before = compileEntry(entry.source.content.provider, entry.model, undefined).price
    reportFindings(override, changeFindings(override.model, before.rows), report)
    return [override]
  })
}

/** V11: each id, alias and snapshot names one model of its provider. */
function reportNames(entries: readonly Entry[], report: Report): void {
  const seen = new Set<string>()
  for (const entry of entries) {
    const { model } = entry
    for (const [field, names] of [
      ['id', [model.id]],
      ['aliases', model.aliases],
      ['snapshots', model.snapshots],
    ] as const) {
      for (const name of names) {
        if (seen.has(keyOf(entry, name))) {
          report(problemAt(entry, [field], 'V11', `${name} already names a model of this provider`), 'error')
        }
        seen.add(keyOf(entry, name))
      }
    }
  }
}

/** V9 against the table in force. */
function reportChanges(entry: Entry, previous: PriceTable | undefined, report: Report): void {
  const before = previous?.find(entry.source.content.provider, entry.model.id)
  if (before !== undefined) reportFindings(entry, changeFindings(entry.model, before.rows), report)
}

function reportFindings(entry: Entry, findings: readonly Finding[], report: Report): void {
  for (const { severity, code, path, message } of findings) report(problemAt(entry, path, code, message), severity)
}

function problemAt(entry: Entry, path: Path, code: string, message: string): PriceProblem {
  return entry.source.problem(code, [...entry.path, ...path], `${entry.model.id}: ${message}`)
}

function keyOf(entry: Entry, name: string): string {
  return `${entry.source.content.provider}\0${name}`
}
