/**
 * The folder of one log, and which of them a process writes to. A log has one writer at a time: the writer holds an
 * exclusive SQLite lock on `lock.db`, which the operating system frees however the process ends, so that a restarted process
 * takes up the log of the killed one. A new log has a random name, so that a lost disk never brings a name back: a log must
 * not sign two histories.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { formatVkey, noteKey } from '../../domain/audit/checkpoint.ts'
import type { NoteKey } from '../../domain/audit/checkpoint.ts'
import { replaceFile, syncFolder } from './durable-file.ts'
import { largestSignedFile } from './largest-signed.ts'
import { logPaths, readDescription } from './log-description.ts'
import { createLogKeys, loadLogKeys, nameLogKeys, publicJwk } from './log-keys.ts'
import type { LogKeys } from './log-keys.ts'
import { assertNoneMissing } from './missing-logs.ts'

export interface LogFolder {
  readonly name: string
  readonly dir: string
  readonly origin: string
  readonly key: NoteKey
  readonly keys: LogKeys
  /** Beside the keys, out of reach of who may write to the folder of the log. */
  readonly largestSignedFile: string
  readonly created: boolean
  readonly lock: Disposable
}

/** SQLITE_BUSY: another connection holds the lock. */
const SQLITE_BUSY = 5

/** Five bytes make eight characters of base 32; two logs of one folder meet once in 2^40. */
const NAME_BYTES = 5
const NAME_ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

export interface FolderOptions {
  readonly auditDir: string
  readonly keysDir: string
  readonly deployment: string
  /**
   * Refuse to start beside another process that writes to this data folder, instead of beginning a log of one's own: two
   * ledgers in memory would each enforce a budget of their own.
   */
  readonly alone?: boolean
  readonly nowMs: number
}

/** The first log that no living process writes to, else a new one. */
export function claimLogFolder(options: FolderOptions): LogFolder {
  assertNoneMissing(options)
  mkdirSync(options.auditDir, { recursive: true })
  for (const name of readdirSync(options.auditDir).toSorted()) {
    const folder = continueFolder(options, name)
    if (folder !== undefined) return folder
  }
  return createFolder(options, `log-${randomName()}`)
}

const IN_USE =
  'another gateway writes to this data folder; a ledger in memory cannot be shared: use another folder, or a Redis ledger'

/** `log.json` is written last when a log is made: a folder without it never held a record. */
function continueFolder(options: FolderOptions, name: string): LogFolder | undefined {
  const dir = join(options.auditDir, name)
  const description = readDescription(dir)
  if (description === undefined) return undefined
  const lock = tryLock(logPaths(dir).lock)
  if (lock === undefined && options.alone === true) throw new Error(`${options.auditDir}: ${IN_USE}`)
  if (lock === undefined) return undefined
  try {
    nameLogKeys(options.keysDir, name)
    const keys = loadLogKeys(options.keysDir, name)
    const key = noteKey(description.origin, keys.log)
    if (formatVkey(key) !== description.vkey) {
      throw new Error(
        `${logPaths(dir).description}: vkey is not that of the key in ${options.keysDir}; restore the right key`,
      )
    }
    const signedFile = largestSignedFile(options.keysDir, name)
    return { name, dir, origin: description.origin, key, keys, largestSignedFile: signedFile, created: false, lock }
  } catch (error) {
    lock[Symbol.dispose]()
    throw error
  }
}

function createFolder(options: FolderOptions, name: string): LogFolder {
  const dir = join(options.auditDir, name)
  const paths = logPaths(dir)
  const origin = `${options.deployment}/audit/${name}`
  mkdirSync(paths.segments, { recursive: true })
  mkdirSync(join(dir, 'hash'))
  const lock = tryLock(paths.lock)
  if (lock === undefined) throw new Error(`${paths.lock}: taken by another process although this log is new`)
  const keys = createLogKeys(options.keysDir, name)
  const key = noteKey(origin, keys.log)
  const created = new Date(options.nowMs).toISOString()
  const description = { origin, vkey: formatVkey(key), created, receiptKeys: [publicJwk(keys.receipt)] }
  replaceFile(paths.description, `${JSON.stringify(description, null, 2)}\n`)
  // A named key without its log would keep the next process from starting: the log must outlive a power cut first.
  syncFolder(options.auditDir)
  syncFolder(dirname(options.auditDir))
  nameLogKeys(options.keysDir, name)
  const signedFile = largestSignedFile(options.keysDir, name)
  return { name, dir, origin, key, keys, largestSignedFile: signedFile, created: true, lock }
}

function randomName(): string {
  let bits = BigInt(`0x${randomBytes(NAME_BYTES).toString('hex')}`)
  let name = ''
  for (let i = 0; i < (NAME_BYTES * 8) / 5; i += 1) {
    name += NAME_ALPHABET[Number(bits % 32n)]
    bits /= 32n
  }
  return name
}

/** The open transaction is the lock; nothing is ever written to the file. */
export function tryLock(path: string): Disposable | undefined {
  const database = new DatabaseSync(path)
  try {
    database.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return undefined
    throw new Error(`${path}: cannot be locked`, { cause: error })
  }
  return { [Symbol.dispose]: () => database.close() }
}
