/**
 * What the simulator has seen, for tests that must know what a provider would have billed.
 */

export interface SimulatedCallStats {
  readonly path: string
  readonly model: string
  readonly stream: boolean
  /** Tokens generated so far, whoever read them. */
  readonly tokensGenerated: number
  readonly state: 'open' | 'done' | 'cut' | 'aborted' | 'error'
}

export interface SimulatorStats {
  /** Requests of every kind. */
  readonly requests: number
  /** Tokens of all calls, also of those no longer listed. */
  readonly tokensGenerated: number
  /** The newest calls that named a model, oldest first; see `CALLS_KEPT_MAX`. */
  readonly calls: readonly SimulatedCallStats[]
}

/** Calls that stay listed: enough for any test, and no leak in a demonstration that runs for days. */
const CALLS_KEPT_MAX = 10_000

export class CallLog {
  #requests = 0
  #tokens = 0
  readonly #calls: CallEntry[] = []

  nextRequestId(): string {
    this.#requests += 1
    return `req_sim_${this.#requests}`
  }

  open(call: Pick<SimulatedCallStats, 'path' | 'model' | 'stream'>): CallEntry {
    const entry = new CallEntry(call, () => {
      this.#tokens += 1
    })
    this.#calls.push(entry)
    // In halves, because removing one at a time would move the whole list on every call.
    if (this.#calls.length > 2 * CALLS_KEPT_MAX) this.#calls.splice(0, CALLS_KEPT_MAX)
    return entry
  }

  stats(): SimulatorStats {
    return {
      requests: this.#requests,
      tokensGenerated: this.#tokens,
      calls: this.#calls.slice(-CALLS_KEPT_MAX).map((entry) => entry.stats()),
    }
  }
}

export class CallEntry {
  readonly #call: Pick<SimulatedCallStats, 'path' | 'model' | 'stream'>
  readonly #onToken: () => void
  #tokensGenerated = 0
  #state: SimulatedCallStats['state'] = 'open'

  constructor(call: Pick<SimulatedCallStats, 'path' | 'model' | 'stream'>, onToken: () => void) {
    this.#call = call
    this.#onToken = onToken
  }

  token(): void {
    this.#tokensGenerated += 1
    this.#onToken()
  }

  end(state: Exclude<SimulatedCallStats['state'], 'open'>): void {
    this.#state = state
  }

  stats(): SimulatedCallStats {
    return { ...this.#call, tokensGenerated: this.#tokensGenerated, state: this.#state }
  }
}
