import { mask } from './mask.ts'
import { lineAt } from './source.ts'
import type { Finding, SourceFile } from './source.ts'

/** A pattern that must not occur, where it is looked for, and what to do instead. */
export interface Mark {
  readonly pattern: RegExp
  /** `code` leaves out comments and strings, `text` is everything. */
  readonly within: 'code' | 'text'
  readonly advice: string
  /** Files to which the rule applies; without it, all. */
  readonly applies?: (path: string) => boolean
}

const inSource = (path: string) => path.startsWith('src/')
const outsideConfig = (path: string) => inSource(path) && !path.startsWith('src/config/')
const isTimeless = (path: string) => path.startsWith('src/domain/') || path.startsWith('src/steps/')

/** Rules about code. */
export const CODE_MARKS: readonly Mark[] = [
  {
    pattern: /\bconsole\s*\./g,
    within: 'code',
    advice: 'talk through events, the logger, or the print of the command line',
  },
  {
    pattern: /\bprocess\s*\.\s*env\b|\bprocess\s*\[/g,
    within: 'code',
    advice: 'only src/config reads the environment; take the value as a parameter',
    applies: outsideConfig,
  },
  {
    pattern: /\bfrom\s*['"](?:node:)?process['"]/g,
    within: 'text',
    advice: 'the global process is enough, and only src/config reads its environment',
    applies: inSource,
  },
  {
    pattern: /\bDate\s*\.\s*now\b|\bnew\s+Date\s*(?:\(\s*\)|(?![\w\s(]))|\bperformance\s*\.\s*now\b/g,
    within: 'code',
    advice: 'take the instant as a value, or from the Clock port',
    applies: isTimeless,
  },
  { pattern: /\bMath\s*\.\s*random\b/g, within: 'code', advice: 'take the id from a port', applies: isTimeless },
  { pattern: /\bexport\s+default\b/g, within: 'code', advice: 'export by name', applies: inSource },
  {
    pattern: /\bexport\s*\*/g,
    within: 'code',
    advice: 'a barrel hides who needs what; export by name',
    applies: inSource,
  },
  { pattern: /@ts-(?:ignore|nocheck)\b/g, within: 'text', advice: 'correct the type' },
  {
    pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/g,
    within: 'text',
    advice: 'do it now, or open an issue and say nothing here',
  },
  {
    pattern: /(?:eslint|oxlint)-disable(?![^\n]*\s--\s+\S)/g,
    within: 'text',
    advice: 'a silenced rule needs its reason behind `--`',
  },
]

/** Rules about tests. */
export const TEST_MARKS: readonly Mark[] = [
  {
    pattern: /\b(?:it|test|describe|suite|bench)\s*(?:\.\s*\w+\s*)*\.\s*(?:skip|only|todo|skipIf|runIf|fails)\b/g,
    within: 'code',
    advice: 'a test runs, always, or is removed',
  },
  {
    pattern: /\b(?:xit|xtest|xdescribe|fit|fdescribe)\s*\(/g,
    within: 'code',
    advice: 'a test runs, always, or is removed',
  },
  {
    pattern: /\b(?:context|ctx)\s*\.\s*skip\b|\(\s*\{[^}]*\bskip\b[^}]*\}\s*\)\s*=>/g,
    within: 'code',
    advice: 'a test runs, always',
  },
  { pattern: /\bvi\s*\.\s*(?:mock|doMock)\b/g, within: 'code', advice: 'use the memory adapter or a real server' },
]

/** Every place where a mark occurs. */
export function findMarks(files: readonly SourceFile[], marks: readonly Mark[]): readonly Finding[] {
  return files.flatMap(({ path, text }) => {
    const code = mask(text, { strings: true })
    return marks
      .filter(({ applies }) => applies?.(path) ?? true)
      .flatMap(({ pattern, within, advice }) =>
        [...(within === 'code' ? code : text).matchAll(pattern)].map(
          ({ index, 0: found }) => `${path}:${lineAt(text, index)}: ${found.trim()}: ${advice}`,
        ),
      )
  })
}
