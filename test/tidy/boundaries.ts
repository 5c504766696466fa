import { findHiddenImports, importsOf, packageOf, targetOf } from './imports.ts'
import type { Import } from './imports.ts'
import type { Finding, SourceFile } from './source.ts'

/** What an area may import: other areas (`*` in place of a name is any one name) and built-in modules (`*`: any). */
interface Row {
  readonly areas: readonly string[]
  readonly builtins: readonly string[]
}

const OUTSIDE = ['*']

/**
 * The direction of every import, types too: `main -> cli -> compose -> http -> gateway -> steps -> ports -> domain`,
 * with the adapters beside it on `ports` and `domain`. An area may always import itself.
 */
export const BOUNDARIES: Readonly<Record<string, Row>> = {
  main: { areas: ['cli'], builtins: OUTSIDE },
  cli: { areas: ['compose', 'config', 'observability', 'ports', 'domain'], builtins: OUTSIDE },
  compose: {
    areas: [
      'http',
      'gateway',
      'steps',
      'upkeep',
      'adapters/*',
      'dialects',
      'config',
      'observability',
      'ports',
      'domain',
    ],
    builtins: OUTSIDE,
  },
  http: { areas: ['gateway', 'dialects', 'observability', 'ports', 'domain'], builtins: OUTSIDE },
  gateway: { areas: ['steps', 'ports', 'domain'], builtins: [] },
  steps: { areas: ['ports', 'domain'], builtins: [] },
  upkeep: { areas: ['ports', 'domain'], builtins: [] },
  ports: { areas: ['domain'], builtins: [] },
  domain: { areas: [], builtins: ['node:crypto'] },
  // The only built-in that a wire format needs is pure: is this UTF-8?
  dialects: { areas: ['domain'], builtins: ['node:buffer'] },
  config: { areas: ['domain'], builtins: OUTSIDE },
  observability: { areas: ['ports', 'domain'], builtins: OUTSIDE },
  'adapters/providers': { areas: ['dialects', 'ports', 'domain'], builtins: OUTSIDE },
  'adapters/simulator': { areas: ['dialects', 'ports', 'domain'], builtins: OUTSIDE },
  'adapters/*': { areas: ['ports', 'domain'], builtins: OUTSIDE },
}

/** Where each npm package may be imported: the outside thing it stands for has one adapter. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@anthropic-ai/sdk': ['adapters/providers'],
  commander: ['cli'],
  express: ['http'],
  ioredis: ['adapters/redis'],
  'ipaddr.js': ['adapters/destinations'],
  jose: ['adapters/tokens'],
  openai: ['adapters/providers'],
  pino: ['observability'],
  'prom-client': ['observability'],
  tiktoken: ['adapters/tiktoken'],
  undici: ['adapters/providers', 'adapters/destinations', 'adapters/tokens'],
  // The process configuration is a YAML file of its own.
  yaml: ['adapters/files', 'config'],
  zod: ['adapters/files', 'config', 'dialects'],
}

/** The area of a path below src: the first name, or the first two among the adapters. */
export function areaOf(path: string): string {
  const [, first = '', second = ''] = path.replace(/\.[a-z]+$/, '').split('/')
  return first === 'adapters' ? `${first}/${second}` : first
}

/** Imports that run upward, across adapters, to a package outside its adapter, or to nowhere. */
export function findTrespasses(files: readonly SourceFile[]): readonly Finding[] {
  const known = new Set(files.map(({ path }) => path))
  return [
    ...findHiddenImports(files),
    ...files.flatMap((file) =>
      importsOf(file).flatMap((one) => {
        const wrong = judge(file.path, one, known)
        return wrong === undefined ? [] : [`${file.path}:${one.line}: ${wrong}`]
      }),
    ),
  ]
}

function judge(path: string, { specifier }: Import, known: ReadonlySet<string>): string | undefined {
  const area = areaOf(path)
  const row = rowOf(area)
  if (row === undefined) return `the area ${area} has no row in the table of boundaries`
  const target = targetOf(path, specifier)
  if (target === undefined) return judgeOutside(area, row, specifier)
  if (!known.has(target)) return `${specifier} is not a file of src`
  const to = areaOf(target)
  if (to === area || row.areas.some((allowed) => allowed === to || allowed === wildcard(to))) return undefined
  return `${area} must not import ${to} (${specifier})`
}

function judgeOutside(area: string, row: Row, specifier: string): string | undefined {
  if (specifier.startsWith('node:')) {
    const { builtins } = row
    return builtins.includes('*') || builtins.includes(specifier) ? undefined : `${area} must not import ${specifier}`
  }
  const name = packageOf(specifier)
  const allowed = Object.hasOwn(PACKAGES, name) ? PACKAGES[name] : undefined
  if (allowed === undefined) return `the package ${name} has no row in the table of packages`
  return allowed.includes(area) ? undefined : `${area} must not import ${name}; only ${allowed.join(', ')} may`
}

function rowOf(area: string): Row | undefined {
  const name = [area, wildcard(area)].find((key) => Object.hasOwn(BOUNDARIES, key))
  return name === undefined ? undefined : BOUNDARIES[name]
}

function wildcard(area: string): string {
  return area.replace(/\/.*$/, '/*')
}
