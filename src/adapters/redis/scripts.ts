/**
 * The Lua programs, read once. What several of them need stands before them; no text depends on a request.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

export interface Script {
  readonly text: string
  /** Name under which Redis keeps it. */
  readonly sha: string
  /** Never sent as text by a call: only a server that was checked knows it. */
  readonly onlyWhereLoaded?: boolean
}

/** Which pieces make up each script, in order. */
const PIECES = {
  reserve: ['guard', 'clock', 'accumulators', 'fit', 'reserve'],
  settle: ['guard', 'clock', 'accumulators', 'settle'],
  expire: ['guard', 'clock', 'accumulators', 'expire'],
  extend: ['clock', 'extend'],
  release: ['clock', 'release'],
  reassert: ['guard', 'clock', 'accumulators', 'reassert'],
  balances: ['guard', 'clock', 'accumulators', 'balances'],
  scan: ['scan'],
  due: ['clock', 'due'],
  presence: ['clock', 'presence'],
  epochLock: ['epoch-lock'],
  epochBegin: ['clock', 'epoch-begin'],
  epochJoin: ['epoch-join'],
  epochContribute: ['guard', 'clock', 'epoch-contribute'],
  epochDone: ['epoch-done'],
  epochOpen: ['epoch-open'],
  epochRaise: ['epoch-raise'],
  epochStamp: ['clock', 'epoch-stamp'],
  epochNote: ['epoch-note'],
} as const

type ScriptName = keyof typeof PIECES

// Proof: the keys of a constant object that is written out above.
const SCRIPT_NAMES = Object.keys(PIECES) as readonly ScriptName[]

export type Scripts = Readonly<Record<ScriptName, Script>>

/** Reads one piece, e.g. `clock` from `clock.lua`. */
export type ReadPiece = (name: string) => string

export function readPiece(name: string): string {
  return readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8')
}

/** `read` lets a test put its own clock in the place of Redis's; everything else stays the text that serves. */
export function loadScripts(read: ReadPiece = readPiece): Scripts {
  const load = (name: ScriptName) => script(PIECES[name].map(read).join(''))
  // Proof: one entry for each name of PIECES.
  return Object.fromEntries(SCRIPT_NAMES.map((name) => [name, load(name)])) as Scripts
}

/**
 * The script under a name of this gateway's own. A server that was restarted, or a replica that took over, does not know
 * it, and says so instead of deciding by a state that nobody has checked.
 */
export function ownScript({ text }: Script, owner: string): Script {
  return { ...script(`${text}\n-- ${owner}\n`), onlyWhereLoaded: true }
}

function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}
