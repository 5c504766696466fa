/** Where an issuer's key set comes from: a file, an https URL, or the built-in issuer. */
import { open } from 'node:fs/promises'
import { KEY_SET_BYTES_MAX, KeySetInvalid } from './key-set.ts'

/** Reads a document by URL, or rejects: not found, too large, too slow, redirected, or at a forbidden address. */
export type FetchDocument = (
  url: string,
  limits: { readonly timeoutMs: number; readonly bytesMax: number },
) => Promise<string>

/** How often a source is looked at, and how it is read. */
export interface KeySource {
  /** Age at which the set is read again in the background while the known keys serve on. */
  readonly freshMs: number
  /** Least time between two reads that tokens with unknown key ids cause. */
  readonly unknownKeyCooldownMs: number
  /** The JWKS, or `unchanged` when it surely is the version that the store took over last. */
  load(takenOver: string | undefined): Promise<LoadedKeys | 'unchanged'>
}

export interface LoadedKeys {
  readonly text: string
  /** Undefined when the source cannot tell versions apart without reading. */
  readonly version: string | undefined
}

/** An answer that takes longer than this keeps its first callers waiting for nothing. */
const FETCH_TIMEOUT_MS = 5_000

/** Identity providers publish a new key long before they sign with it. */
const URL_FRESH_MS = 10 * 60_000

/** A stream of made-up key ids costs the identity provider two requests a minute. */
const URL_UNKNOWN_KEY_COOLDOWN_MS = 30_000

export function urlKeySource(url: string, fetchDocument: FetchDocument): KeySource {
  return {
    freshMs: URL_FRESH_MS,
    unknownKeyCooldownMs: URL_UNKNOWN_KEY_COOLDOWN_MS,
    async load() {
      const text = await fetchDocument(url, { timeoutMs: FETCH_TIMEOUT_MS, bytesMax: KEY_SET_BYTES_MAX })
      return { text, version: undefined }
    },
  }
}

/** A key taken out of the file stops working within this time; looking costs one `stat`. */
const FILE_FRESH_MS = 2_000

/** Bounds the reads that made-up key ids cause. */
const FILE_UNKNOWN_KEY_COOLDOWN_MS = 1_000

export function fileKeySource(path: string): KeySource {
  return {
    freshMs: FILE_FRESH_MS,
    unknownKeyCooldownMs: FILE_UNKNOWN_KEY_COOLDOWN_MS,
    async load(takenOver) {
      await using file = await open(path)
      const { mtimeNs, size, ino } = await file.stat({ bigint: true })
      if (size > KEY_SET_BYTES_MAX) throw new KeySetInvalid(`${path} is larger than ${KEY_SET_BYTES_MAX} bytes`)
      const version = `${mtimeNs} ${size} ${ino}`
      return version === takenOver ? 'unchanged' : { text: await file.readFile('utf8'), version }
    },
  }
}

/** Keys that are made and held in this process. */
export function builtinKeySource(keys: readonly Readonly<Record<string, unknown>>[]): KeySource {
  const text = JSON.stringify({ keys })
  return {
    freshMs: Infinity,
    unknownKeyCooldownMs: Infinity,
    load: () => Promise.resolve({ text, version: undefined }),
  }
}
