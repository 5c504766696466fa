/**
 * Holds one file against the schema, and says for each fault where it stands and what would be right.
 */
import type { z } from 'zod'
import type { ShapedFile } from './policies-join.ts'
import type { PolicyPath, PolicyProblem } from './policies-problem.ts'
import { policyFile } from './policies-schema.ts'
import type { PolicySource } from './policies-source.ts'

export type Shaped =
  | { readonly kind: 'shaped'; readonly file: ShapedFile }
  | { readonly kind: 'faulty'; readonly problems: readonly PolicyProblem[] }

export function shapeFile(source: PolicySource): Shaped {
  const parsed = policyFile.safeParse(source.content)
  if (parsed.success) return { kind: 'shaped', file: { source, file: parsed.data } }
  const problems = parsed.error.issues.flatMap((issue) => problemsOf(source, issue))
  // Two bounds of one number, passed at once, are one fault.
  const seen = new Set<string>()
  const distinct = problems.filter(({ path, message }) => seen.size < seen.add(`${path} ${message}`).size)
  return { kind: 'faulty', problems: distinct }
}

const CODES: Readonly<Record<string, string>> = {
  invalid_type: 'P010',
  invalid_value: 'P011',
  unrecognized_keys: 'P012',
  invalid_format: 'P013',
  too_small: 'P014',
  too_big: 'P015',
  invalid_union: 'P016',
  custom: 'P018',
  invalid_key: 'P019',
  invalid_element: 'P019',
}

function problemsOf(source: PolicySource, issue: z.core.$ZodIssue): readonly PolicyProblem[] {
  const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)))
  const place = source.place([])
  const code = CODES[issue.code] ?? 'P018'
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => place.problem({ code, path: [...path, key], message: issue.message }))
  }
  if (path.length > 0 && valueAt(source.content, path) === undefined) {
    return [place.problem({ code: 'P020', path, message: `required: ${issue.message}` })]
  }
  const inner = issue.code === 'invalid_key' ? issue.issues[0]?.message : undefined
  return [place.problem({ code, path, message: inner ?? issue.message })]
}

function valueAt(content: unknown, path: PolicyPath): unknown {
  let value = content
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined
    value = Object.entries(value).find(([key]) => key === String(part))?.[1]
  }
  return value
}
