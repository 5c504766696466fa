import { dirname } from 'node:path'
import type { Mark } from './marks.ts'

/** Parents of a checkout that are ordinary system folders, whose names a text may well have a reason to hold. */
const SYSTEM = new Set([
  '/',
  '/app',
  '/data',
  '/etc',
  '/home',
  '/opt',
  '/root',
  '/srv',
  '/tmp',
  '/usr',
  '/usr/src',
  '/var',
])

const escaped = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** Words that never belong in a text of this project: where one machine keeps its files, and who typed. */
export function wordMarks(root: string): readonly Mark[] {
  const places = [root, dirname(root)].filter((folder) => !SYSTEM.has(folder)).map(escaped)
  const here = places.length === 0 ? [] : [new RegExp(`(?<![\\w./-])(?:${places.join('|')})(?:/|\\b(?!\\w))`, 'g')]
  return [...here, /(?<![\w./-])\/(?:home|Users)\/[a-z][\w.-]*\//g]
    .map((pattern): Mark => ({
      pattern,
      within: 'text',
      advice: 'a path of one machine; derive it or take a parameter',
    }))
    .concat(
      [
        /\bas an AI\b/gi,
        /\bAI[- ]generated\b/gi,
        /\bgenerated (?:with|by) (?:an? )?(?:AI|LLM|Claude|ChatGPT|Copilot)\b/gi,
      ]
        .concat([/\bco-authored-by\b/gi, /\blanguage model,? I\b/gi])
        .map((pattern): Mark => ({ pattern, within: 'text', advice: 'say what is true of the product' })),
    )
}
