/**
 * The Lua programs, read once. What several of them need stands before them; no text depends on a request.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

export interface Script {
  readonly text: string
  /** Name under which Redis keeps it. */
  readonly sha: string
}

/** Which pieces make up each script, in order. */
const PIECES = {
  reserve: ['clock', 'accumulators', 'fit', 'reserve'],
  settle: ['clock', 'accumulators', 'settle'],
  expire: ['clock', 'accumulators', 'expire'],
  extend: ['clock', 'extend'],
  release: ['clock', 'release'],
  reassert: ['clock', 'accumulators', 'reassert'],
  balances: ['clock', 'accumulators', 'balances'],
  scan: ['scan'],
  due: ['clock', 'due'],
  presence: ['clock', 'presence'],
} as const

type ScriptName = keyof typeof PIECES

export type Scripts = Readonly<Record<ScriptName, Script>>

/** Reads one piece, e.g. `clock` from `clock.lua`. */
export type ReadPiece = (name: string) => string

export function readPiece(name: string): string {
  return readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8')
}

/** `read` lets a test put its own clock in the place of Redis's; everything else stays the text that serves. */
export function loadScripts(read: ReadPiece = readPiece): Scripts {
  const load = (name: ScriptName): Script => {
    const text = PIECES[name].map(read).join('')
    return { text, sha: createHash('sha1').update(text).digest('hex') }
  }
  return {
    reserve: load('reserve'),
    settle: load('settle'),
    expire: load('expire'),
    extend: load('extend'),
    release: load('release'),
    reassert: load('reassert'),
    balances: load('balances'),
    scan: load('scan'),
    due: load('due'),
    presence: load('presence'),
  }
}
