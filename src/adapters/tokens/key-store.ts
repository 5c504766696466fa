/**
 * The key set of one issuer, kept while its source comes and goes.
 *
 * A fresh set is answered at once. An older one is answered at once too and read again in the background (stale while
 * revalidate), so that no call waits for an identity provider. When reading fails the known keys serve on for a day
 * (stale if error), and every failure is reported. Reads never overlap, and after a failure the next one waits.
 */
import type { Clock } from '../../ports.ts'
import { parseKeySet } from './key-set.ts'
import type { KeySet } from './key-set.ts'
import type { KeySource } from './key-source.ts'

/** An outage of an identity provider over a night must not stop work; longer, and a revoked key would live too long. */
const STALE_IF_ERROR_MS = 24 * 60 * 60_000

/** Wait after a failed read. */
const RETRY_MS = 5_000

/** Tells the operator what is wrong with the keys of an issuer. Never given a token. */
export type ReportKeyProblem = (issuer: string, problem: string) => void

export interface KeyStoreOptions {
  readonly issuer: string
  readonly source: KeySource
  readonly clock: Clock
  readonly report: ReportKeyProblem
}

interface Loaded {
  readonly set: KeySet
  readonly version: string | undefined
  readonly loadedAtMs: number
}

export class KeyStore {
  readonly #options: KeyStoreOptions
  /** Written by `#load` alone, of which one runs at a time. */
  #current: Loaded | undefined
  #loading: Promise<void> | undefined
  #nextLoadMs = -Infinity
  #nextUnknownMs = -Infinity

  constructor(options: KeyStoreOptions) {
    this.#options = options
  }

  /** The same value as long as the keys are the same: what another set vouched for must be verified again. */
  get inForce(): KeySet | undefined {
    return this.#current?.set
  }

  get issuer(): string {
    return this.#options.issuer
  }

  /** Age of the known keys, undefined when there are none. */
  ageMs(): number | undefined {
    return this.#current && this.#options.clock.nowMs() - this.#current.loadedAtMs
  }

  /** The keys in force, or undefined when none are known that may still be used. */
  async keys(): Promise<KeySet | undefined> {
    this.refreshWhenDue()
    if (!this.#usable()) await this.#loading
    return this.#usable()
  }

  /**
   * Keys that may hold a key id which `tried` does not, or undefined. The source is read for it, but not again soon: the
   * key id of an unverified token is anybody's word.
   */
  async keysOtherThan(tried: KeySet): Promise<KeySet | undefined> {
    if (this.#usable() === tried) {
      const nowMs = this.#options.clock.nowMs()
      const isCoolingDown = nowMs < this.#nextUnknownMs
      if (isCoolingDown && this.#loading === undefined) return undefined
      if (!isCoolingDown) this.#nextUnknownMs = nowMs + this.#options.source.unknownKeyCooldownMs
      await this.#load()
    }
    const now = this.#usable()
    return now === tried ? undefined : now
  }

  /** Starts a read when one is due, and does not wait for it. Called on every token, so it compares two numbers. */
  refreshWhenDue(): void {
    if (this.#options.clock.nowMs() >= this.#nextLoadMs) void this.#load()
  }

  #usable(): KeySet | undefined {
    const { clock } = this.#options
    const age = this.#current && clock.nowMs() - this.#current.loadedAtMs
    return age !== undefined && age < STALE_IF_ERROR_MS ? this.#current?.set : undefined
  }

  /** Never rejects. */
  #load(): Promise<void> {
    this.#loading ??= this.#loadOnce().finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  async #loadOnce(): Promise<void> {
    const { clock, source, issuer, report } = this.#options
    // Until this read ends, no token shall start another.
    this.#nextLoadMs = Infinity
    try {
      const loaded = await source.load(this.#current?.version)
      if (loaded !== 'unchanged') this.#adopt(parseKeySet(loaded.text), loaded.version)
      else if (this.#current) this.#current = { ...this.#current, loadedAtMs: clock.nowMs() }
      this.#nextLoadMs = clock.nowMs() + source.freshMs
    } catch (error) {
      this.#nextLoadMs = clock.nowMs() + RETRY_MS
      report(issuer, problemOf(error))
    }
  }

  #adopt(read: KeySet, version: string | undefined): void {
    const { clock, issuer, report } = this.#options
    const known = this.#current?.set
    // The same keys stay the same value: their imported forms are kept, and nothing has to be verified again.
    const set = known?.fingerprint === read.fingerprint ? known : read
    if (set !== known) for (const problem of set.problems) report(issuer, problem)
    this.#current = { set, version, loadedAtMs: clock.nowMs() }
  }
}

function problemOf(error: unknown): string {
  return error instanceof Error ? error.message : 'the key set could not be read'
}
