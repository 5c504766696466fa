/**
 * Reads policy files as YAML 1.2 (and so JSON), keeping where everything stands in them. Nothing is guessed at: a file
 * that a human and the parser could read differently is refused.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { isMap, isNode, isScalar, LineCounter, parseDocument, visit, type Document } from 'yaml'
import type { Finding, Place, PolicyPath, PolicyProblem } from './policies-problem.ts'

/** A file whose text is sound YAML; whether it is a policy is decided later. */
export interface PolicySource {
  readonly file: string
  /** Absolute folder of the file: relative paths in it start there. */
  readonly folder: string
  readonly content: unknown
  place(path: PolicyPath): Place
}

/** A set this large is not read by people any more; the bound keeps a wrong folder from being swallowed. */
const FILES_MAX = 200

/** Some 20,000 lines. */
const FILE_BYTES_MAX = 1024 * 1024

/** Faults shown of one file: past these, one mistake is explained by another. */
const FAULTS_MAX = 100

/** Uses of anchors in one file: enough to share a list, too few for exponential expansion. */
const ALIASES_MAX = 100

export type FoundFiles =
  | { readonly kind: 'found'; readonly files: readonly string[] }
  | { readonly kind: 'none'; readonly problem: PolicyProblem }

/** The policy files of the given files and folders (not of folders in them), each folder in the order of its names. */
export async function findPolicyFiles(paths: readonly string[]): Promise<FoundFiles> {
  const files: string[] = []
  for (const path of paths) {
    try {
      files.push(...((await stat(path)).isDirectory() ? await policyFilesIn(path) : [path]))
    } catch {
      return {
        kind: 'none',
        problem: fileProblem(path, 'P009', 'cannot be read: give a policy file or a folder of policy files'),
      }
    }
  }
  const [first = 'policies'] = paths
  if (files.length === 0)
    return { kind: 'none', problem: fileProblem(first, 'P009', 'holds no policy file (.yaml, .yml or .json)') }
  if (files.length > FILES_MAX)
    return { kind: 'none', problem: fileProblem(first, 'P009', `holds more than ${String(FILES_MAX)} policy files`) }
  return { kind: 'found', files }
}

/** Hidden names are left out: mounted folders keep their older generations under them. */
async function policyFilesIn(folder: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const name of (await readdir(folder)).toSorted()) {
    if (name.startsWith('.') || !/\.(ya?ml|json)$/.test(name)) continue
    const path = join(folder, name)
    if ((await stat(path)).isFile()) found.push(path)
  }
  return found
}

export type PolicyRead =
  | { readonly kind: 'read'; readonly source: PolicySource }
  | { readonly kind: 'unreadable'; readonly problems: readonly PolicyProblem[] }

export async function readPolicyFile(file: string): Promise<PolicyRead> {
  try {
    const { size } = await stat(file)
    if (size > FILE_BYTES_MAX)
      return unreadable(file, 'P006', `is larger than ${String(FILE_BYTES_MAX)} bytes; split it`)
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file))
    return parsePolicyText(file, text)
  } catch (error) {
    if (error instanceof TypeError) return unreadable(file, 'P005', 'is not UTF-8 text; save it as UTF-8')
    return unreadable(file, 'P009', 'cannot be read')
  }
}

function parsePolicyText(file: string, text: string): PolicyRead {
  const lines = new LineCounter()
  try {
    const document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      merge: false,
      uniqueKeys: true,
      lineCounter: lines,
    })
    const faults = faultsOf(document)
    if (faults.some(({ code }) => code === 'RESOURCE_EXHAUSTION'))
      return unreadable(file, 'P002', 'is nested too deeply')
    if (faults.length > 0) {
      const shown = faults.toSorted((left, right) => left.offset - right.offset).slice(0, FAULTS_MAX)
      return { kind: 'unreadable', problems: shown.map((fault) => problemAt(file, lines.linePos(fault.offset), fault)) }
    }
    const content: unknown = document.toJS({ maxAliasCount: ALIASES_MAX })
    if (content === null || content === undefined)
      return unreadable(file, 'P008', 'is empty: write a PolicySet or remove it')
    return { kind: 'read', source: sourceOf({ file, document, content, lines }) }
  } catch (error) {
    if (error instanceof ReferenceError) return unreadable(file, 'P004', 'uses anchors within anchors too often')
    // Parsing descends by recursion, so text nested too deeply can also end in a RangeError of the stack.
    if (error instanceof RangeError) return unreadable(file, 'P002', 'is nested too deeply')
    throw error
  }
}

interface Fault {
  readonly offset: number
  readonly code: string
  readonly message: string
}

function faultsOf(document: Document): readonly Fault[] {
  const faults = [...document.errors, ...document.warnings].map(({ code, message, pos }) => {
    return { offset: pos[0], code: YAML_CODES[code] ?? 'P002', message: firstLine(message) }
  })
  return [...faults, ...nodeFaults(document)]
}

const YAML_CODES: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'P001',
  MULTIPLE_DOCS: 'P003',
  RESOURCE_EXHAUSTION: 'RESOURCE_EXHAUSTION',
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? message).replace(/ at line \d+, column \d+:?$/, '')
}

/**
 * Keys must be plain text: a number, a list or `__proto__` would change or vanish when the file becomes values. Anchors
 * must be there, and be used a bounded number of times.
 */
function nodeFaults(document: Document): readonly Fault[] {
  const faults: Fault[] = []
  let aliases = 0
  visit(document, {
    Pair(_key, { key }) {
      const isPlain = isScalar(key) && typeof key.value === 'string' && key.value !== '__proto__'
      if (isPlain) return
      const offset = isNode(key) ? (key.range?.[0] ?? 0) : 0
      faults.push({ offset, code: 'P007', message: 'a key must be plain text; put quotes around it' })
    },
    Alias(_key, alias) {
      aliases += 1
      const offset = alias.range?.[0] ?? 0
      if (aliases > ALIASES_MAX) {
        faults.push({ offset, code: 'P004', message: `anchors are used more than ${String(ALIASES_MAX)} times` })
        return visit.BREAK
      }
      if (alias.resolve(document) === undefined) {
        faults.push({ offset, code: 'P004', message: `there is no anchor &${alias.source} before this` })
      }
      return undefined
    },
  })
  return faults
}

interface Parsed {
  readonly file: string
  readonly document: Document
  readonly content: unknown
  readonly lines: LineCounter
}

function sourceOf({ file, document, content, lines }: Parsed): PolicySource {
  const place = (base: PolicyPath): Place => ({
    problem(finding) {
      const path = [...base, ...(finding.path ?? [])]
      return problemAt(file, lines.linePos(offsetOf(document, path)), { ...finding, path })
    },
  })
  return { file, folder: resolve(dirname(file)), content, place }
}

/** Where a path stands: at its key when its parent is a mapping, at its value in a list, else at the nearest parent. */
function offsetOf(document: Document, path: PolicyPath): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true)
    const last = path[length - 1]
    const pair = isMap(parent) ? parent.items.find(({ key }) => isScalar(key) && key.value === last) : undefined
    const isLeaf = pair !== undefined && isScalar(pair.value)
    const found = isLeaf ? pair.value : (pair?.key ?? document.getIn(path.slice(0, length), true))
    if (isNode(found) && found.range) return found.range[0]
  }
  return 0
}

interface Position {
  readonly line: number
  readonly col: number
}

function problemAt(file: string, { line, col }: Position, finding: Finding): PolicyProblem {
  const { code, message, path = [], severity = 'error' } = finding
  return { file, line, col, severity, code, path: path.join('.'), message }
}

function fileProblem(file: string, code: string, message: string): PolicyProblem {
  return problemAt(file, { line: 1, col: 1 }, { code, message })
}

function unreadable(file: string, code: string, message: string): PolicyRead {
  return { kind: 'unreadable', problems: [fileProblem(file, code, message)] }
}
