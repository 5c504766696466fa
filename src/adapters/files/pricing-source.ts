/**
 * Reads price files and keeps where everything stands in them, so that a problem can be shown at its line and column.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isMap, isNode, isPair, LineCounter, parseDocument, type Document } from 'yaml'
import { priceFile, type PriceFile } from './pricing-schema.ts'

export interface PriceProblem {
  readonly file: string
  readonly line: number
  readonly col: number
  /** `V1` to `V21` for the rules of pricing/README.md; `file`, `yaml` or `schema` for what comes before them. */
  readonly code: string
  /** Where in the file, e.g. `models[3].rows[0].rates.input`. */
  readonly path: string
  readonly message: string
}

export type Path = readonly (string | number)[]

/** A file that has the right shape. */
export interface PriceSource {
  readonly content: PriceFile
  problem(code: string, path: Path, message: string): PriceProblem
}

/** More files, larger files or deeper folders than any table needs. */
const FILES_MAX = 200
const FILE_BYTES_MAX = 4 * 1024 * 1024
const FOLDERS_DEEP_MAX = 3

/** The YAML files of the given files and folders, each folder in the order of its names. */
export async function findPriceFiles(paths: readonly string[]): Promise<string[] | PriceProblem> {
  const files: string[] = []
  for (const path of paths) {
    try {
      files.push(...((await stat(path)).isDirectory() ? await yamlFilesIn(path, FOLDERS_DEEP_MAX) : [path]))
    } catch {
      return fileProblem(path, 'cannot be read; give a price file or a folder of price files')
    }
  }
  const [first = 'pricing'] = paths
  if (files.length === 0) return fileProblem(first, 'holds no .yaml file')
  if (files.length > FILES_MAX) return fileProblem(first, `holds more than ${String(FILES_MAX)} price files`)
  return files
}

async function yamlFilesIn(folder: string, deep: number): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const files: string[] = []
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    if (entry.isDirectory() && deep > 0) files.push(...(await yamlFilesIn(path, deep - 1)))
    else if (entry.isFile() && /\.ya?ml$/.test(entry.name)) files.push(path)
  }
  return files
}

/** One file, or everything that is wrong with its text and shape. */
export async function readPriceFile(file: string): Promise<PriceSource | readonly PriceProblem[]> {
  const text = await readText(file)
  return typeof text === 'string' ? parsePriceFile(file, text) : [text]
}

async function readText(file: string): Promise<string | PriceProblem> {
  try {
    const { size } = await stat(file)
    if (size > FILE_BYTES_MAX) return fileProblem(file, `is larger than ${String(FILE_BYTES_MAX)} bytes`)
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file))
  } catch (error) {
    const why = error instanceof TypeError ? 'is not UTF-8 text' : 'cannot be read'
    return fileProblem(file, why)
  }
}

function parsePriceFile(file: string, text: string): PriceSource | readonly PriceProblem[] {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    uniqueKeys: true,
    strict: true,
    prettyErrors: false,
    lineCounter: lines,
  })
  const at = (offset: number) => ({ file, ...lines.linePos(offset) })
  const broken = [...document.errors, ...document.warnings]
  if (broken.length > 0) {
    return broken.map((error) => ({ ...at(error.pos[0]), code: 'yaml', path: '', message: error.message }))
  }
  const problem = (code: string, path: Path, message: string): PriceProblem => ({
    ...at(offsetOf(document, path)),
    code,
    path: pathText(path),
    message,
  })
  const value = plainValue(document)
  if (value === undefined) return [problem('yaml', [], 'anchors and aliases are not allowed; write the value out')]
  const parsed = priceFile.safeParse(value)
  if (parsed.success) return { content: parsed.data, problem }
  return parsed.error.issues.map((issue) => {
    const unknownKey = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : []
    const path = [...issue.path.filter((step) => typeof step !== 'symbol'), ...unknownKey]
    return problem(path.includes('rates') ? 'V1' : 'schema', path, issue.message)
  })
}

/** Aliases are refused: a short file could unfold into one that fills the memory. */
function plainValue(document: Document): unknown {
  try {
    const value: unknown = document.toJS({ maxAliasCount: 0 })
    return value ?? {}
  } catch {
    return undefined
  }
}

/** Offset of the deepest node on the path that exists; for a member, of its key. */
function offsetOf(document: Document, path: Path): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent = document.getIn(path.slice(0, length - 1), true)
    const last = path[length - 1]
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isPair(item) && isNode(item.key) && keyText(item.key) === String(last))
      if (pair && isNode(pair.key) && pair.key.range) return pair.key.range[0]
    }
    const node = document.getIn(path.slice(0, length), true)
    if (isNode(node) && node.range) return node.range[0]
  }
  return 0
}

function keyText(key: { toString(): string; value?: unknown }): string {
  return typeof key.value === 'string' ? key.value : key.toString()
}

function pathText(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${String(step)}]`
    return text === '' ? step : `${text}.${step}`
  }, '')
}

function fileProblem(file: string, message: string): PriceProblem {
  return { file, line: 1, col: 1, code: 'file', path: '', message }
}
