/**
 * The port `TokenCounter` on worker threads. Workers start with the first question, because most calls never need a count.
 * A question that cannot be answered soon gets undefined: the queue is full, the text is too long, the worker is late or
 * has died. The caller then keeps its byte bound, which costs room in a budget and never a wrong admission.
 */
import { Worker } from 'node:worker_threads'
import type { Encoding } from '../../domain/prices/prices.ts'
import type { TokenCounter } from '../../ports.ts'
import type { CountAnswer, CountQuestion } from './messages.ts'

export interface TokenCounterOptions {
  readonly workers?: number
  /** Questions that may wait for one worker. */
  readonly queueMax?: number
  /** Characters of one question, over all its texts. */
  readonly textMax?: number
  /** Longest wait for an answer, in milliseconds. */
  readonly timeoutMs?: number
}

/** One worker counts about 4 MB of ordinary text in a second: enough for calls whose budget is nearly used up. */
const WORKERS_DEFAULT = 1
const QUEUE_MAX_DEFAULT = 32

/** Half a million tokens of English; the slowest text of this length keeps a worker busy for about five seconds. */
const TEXT_MAX_DEFAULT = 2_000_000

/** An answer that takes longer is not worth waiting for: the caller is waiting too. */
const TIMEOUT_MS_DEFAULT = 2_000

/** A worker that died is not started again at once, so that a text that kills workers cannot keep the machine busy. */
const RESTART_AFTER_MS = 10_000

/** Two encodings with their ranks take about 150 MB; more means that something grows without end. */
const WORKER_HEAP_MB_MAX = 512

export function createTokenCounter(options: TokenCounterOptions = {}): TokenCounter {
  const textMax = options.textMax ?? TEXT_MAX_DEFAULT
  const limits = { queueMax: options.queueMax ?? QUEUE_MAX_DEFAULT, timeoutMs: options.timeoutMs ?? TIMEOUT_MS_DEFAULT }
  const threads = Array.from({ length: options.workers ?? WORKERS_DEFAULT }, () => new CountingThread(limits))
  return {
    async count(texts, encoding) {
      const length = texts.reduce((sum, text) => sum + text.length, 0)
      if (length === 0) return 0
      if (length > textMax) return undefined
      const [idlest] = threads.toSorted((a, b) => a.waiting - b.waiting)
      return idlest?.count(texts, encoding)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(threads.map((thread) => thread.dispose()))
    },
  }
}

type Resolve = (count: number | undefined) => void

class CountingThread {
  readonly #limits: { readonly queueMax: number; readonly timeoutMs: number }
  /** Questions the worker has and has not answered, also those whose caller no longer waits: they still take its time. */
  readonly #asked = new Map<number, Resolve>()
  #worker: Worker | undefined
  #nextId = 0
  #restartAtMs = 0
  #isDisposed = false

  constructor(limits: { readonly queueMax: number; readonly timeoutMs: number }) {
    this.#limits = limits
  }

  get waiting(): number {
    return this.#asked.size
  }

  count(texts: readonly string[], encoding: Encoding): Promise<number | undefined> {
    const worker = this.#asked.size < this.#limits.queueMax ? this.#running() : undefined
    if (worker === undefined) return Promise.resolve(undefined)
    const id = this.#nextId
    this.#nextId += 1
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve(undefined), this.#limits.timeoutMs)
      this.#asked.set(id, (count) => {
        clearTimeout(late)
        resolve(count)
      })
      worker.ref()
      const question: CountQuestion = { id, texts, encoding }
      worker.postMessage(question, [])
    })
  }

  async dispose(): Promise<void> {
    this.#isDisposed = true
    await this.#worker?.terminate()
  }

  #running(): Worker | undefined {
    if (this.#worker || this.#isDisposed || performance.now() < this.#restartAtMs) return this.#worker
    // The build gives this name the ending of what it compiles to.
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      name: 'token-counter',
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MB_MAX },
    })
    worker.on('message', (answer: CountAnswer) => this.#answer(worker, answer))
    worker.on('error', () => this.#died(worker))
    worker.on('exit', () => this.#died(worker))
    this.#worker = worker
    return worker
  }

  #answer(worker: Worker, { id, count }: CountAnswer): void {
    this.#asked.get(id)?.(count)
    this.#asked.delete(id)
    // An idle worker does not keep the process alive.
    if (this.#asked.size === 0) worker.unref()
  }

  /** An error is followed by an exit: the first of the two counts. */
  #died(worker: Worker): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    this.#restartAtMs = performance.now() + RESTART_AFTER_MS
    for (const resolve of this.#asked.values()) resolve(undefined)
    this.#asked.clear()
  }
}
