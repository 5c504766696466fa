/**
 * Several files make one set: their lists are joined in the order of the files, and what exists once in a set may stand in
 * one file only. Every part keeps its place, so that checks over the whole set still point into one file.
 */
import type { ClassificationText, IssuerText } from './policies-identity-schema.ts'
import type { BudgetText, LimitText } from './policies-limits-schema.ts'
import type { Place, PolicyPath, PolicyProblem } from './policies-problem.ts'
import type { OnLedgerError } from '../../domain/policy/policy.ts'
import type { RunText } from './policies-runs-schema.ts'
import type { AccessText, MetadataText, PolicyFile, UpstreamText } from './policies-schema.ts'
import type { PolicySource } from './policies-source.ts'

/** A part of the set and where it is written. */
export interface Placed<Part> {
  readonly part: Part
  readonly place: Place
  /** Folder of its file; relative paths start there. */
  readonly folder: string
}

export interface JoinedSet {
  readonly metadata: MetadataText
  readonly classification: Placed<ClassificationText> | undefined
  readonly issuers: readonly Placed<IssuerText>[]
  readonly upstreams: readonly Placed<UpstreamText>[]
  readonly allow: readonly Placed<string>[]
  readonly allowPrivate: readonly Placed<string>[]
  readonly access: readonly Placed<AccessText>[]
  /** What rules say that do not say it themselves. */
  readonly onLedgerError: OnLedgerError | undefined
  readonly limits: readonly Placed<LimitText>[]
  readonly budgets: readonly Placed<BudgetText>[]
  readonly runs: readonly Placed<RunText>[]
}

/** A file of the right shape. */
export interface ShapedFile {
  readonly source: PolicySource
  readonly file: PolicyFile
}

export type Joined =
  | { readonly kind: 'joined'; readonly set: JoinedSet }
  | { readonly kind: 'faulty'; readonly problems: readonly PolicyProblem[] }

/** What stands in one file of a set only. */
const ONCE = ['metadata', 'identity', 'classification', 'on_ledger_error'] as const

export function joinFiles(files: readonly ShapedFile[]): Joined {
  const problems = ONCE.flatMap((block) => repeats(files, block))
  const metadata = files.find(({ file }) => file.metadata !== undefined)?.file.metadata
  const [first] = files
  if (first === undefined) throw new RangeError('files: at least one')
  for (const [block, isThere] of [
    ['metadata', metadata !== undefined],
    ['identity', files.some(({ file }) => file.identity !== undefined)],
    ['upstreams', files.some(({ file }) => file.upstreams.length > 0)],
  ] as const) {
    const message = `required: no file of the set has ${block}`
    if (!isThere) problems.push(first.source.place([]).problem({ code: 'P020', path: [block], message }))
  }
  if (problems.length > 0 || metadata === undefined) return { kind: 'faulty', problems }
  return { kind: 'joined', set: setOf(metadata, files) }
}

function setOf(metadata: MetadataText, files: readonly ShapedFile[]): JoinedSet {
  return {
    metadata,
    classification: places(files, ['classification'], ({ classification }) => classification)[0],
    issuers: placed(files, ['identity', 'issuers'], ({ identity }) => identity?.issuers ?? []),
    upstreams: placed(files, ['upstreams'], ({ upstreams }) => upstreams),
    allow: placed(files, ['destinations', 'allow'], ({ destinations }) => destinations.allow),
    allowPrivate: placed(files, ['destinations', 'allowPrivate'], ({ destinations }) => destinations.allowPrivate),
    access: placed(files, ['access', 'rules'], ({ access }) => access.rules),
    onLedgerError: files.find(({ file }) => file.on_ledger_error !== undefined)?.file.on_ledger_error,
    limits: placed(files, ['limits'], ({ limits }) => limits),
    budgets: placed(files, ['budgets'], ({ budgets }) => budgets),
    runs: placed(files, ['runs'], ({ runs }) => runs),
  }
}

function repeats(files: readonly ShapedFile[], block: (typeof ONCE)[number]): PolicyProblem[] {
  const [first, ...others] = files.filter(({ file }) => file[block] !== undefined)
  return others.map(({ source }) =>
    source.place([block]).problem({
      code: 'P030',
      message: `${block} may stand in one file only; it is also in ${first?.source.file ?? 'another'}`,
    }),
  )
}

function placed<Part>(
  files: readonly ShapedFile[],
  path: PolicyPath,
  parts: (file: PolicyFile) => readonly Part[],
): readonly Placed<Part>[] {
  return files.flatMap(({ source, file }) =>
    parts(file).map((part, index) => ({ part, place: source.place([...path, index]), folder: source.folder })),
  )
}

function places<Part>(
  files: readonly ShapedFile[],
  path: PolicyPath,
  part: (file: PolicyFile) => Part | undefined,
): readonly Placed<Part>[] {
  return files.flatMap(({ source, file }) => {
    const found = part(file)
    return found === undefined ? [] : [{ part: found, place: source.place(path), folder: source.folder }]
  })
}
