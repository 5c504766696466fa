/**
 * The audit log as the rest of the process sees it: a bounded queue in front of the thread that writes. Records are sent once
 * a turn of the event loop and answered in the order in which they were sent.
 */
import { dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { recordParts, RECORD_BYTES_MAX, settlesOf } from '../../domain/audit/audit-record.ts'
import type { AuditRecord, RecordParts, WrittenDraft } from '../../domain/audit/audit-record.ts'
import { AuditUnavailable } from '../../domain/failures.ts'
import type { Clock } from '../../ports.ts'
import type { AuditLog, Signed } from '../../ports/audit-log.ts'
import { readRecords } from './log-reader.ts'
import type {
  Durability,
  Entry,
  FromWriter,
  Ready,
  Recovered,
  ToWriter,
  WriterOptions,
  WriterState,
} from './messages.ts'
import { claimsOf } from './receipt.ts'
import { WaitingRecords } from './waiting-records.ts'

export interface OpenAuditLogOptions {
  /** Folder of all logs of a data folder. */
  readonly dir: string
  /** Name of the installation, a host name as a rule; the first part of the log's origin. */
  readonly deployment: string
  readonly durability: Durability
  /** Fail, instead of beginning a log, when another process writes to this folder. */
  readonly alone?: boolean
  readonly checkpointMs?: number
  readonly clock?: Clock
  /** Where signing keys are; beside `dir` unless said otherwise, because `dir` is handed to auditors. */
  readonly keysDir?: string
  readonly segmentBytesMax?: number
}

export interface OpenedAuditLog extends AuditLog {
  readonly name: string
  readonly dir: string
  readonly recovered: Recovered
}

/** Signed at least this often while the log grows: what may be cut off its end without trace is younger. */
const CHECKPOINT_MS = 1000

/** A segment is read whole after a crash: 256 MiB take a second or two. */
const SEGMENT_BYTES_MAX = 256 * 1024 * 1024

/** Member names, a sequence number and a time: what the log adds to a record. */
const ADDED_BYTES = 80

/** The last batch, a record and a checkpoint; a disk that takes longer is taken for dead. */
const CLOSE_TIMEOUT_MS = 10_000

/** The first log of the folder that no living process writes to, recovered, else a new one. */
export async function openAuditLog(options: OpenAuditLogOptions): Promise<OpenedAuditLog> {
  const clock = options.clock ?? { nowMs: () => Date.now() }
  const workerData: WriterOptions = {
    auditDir: options.dir,
    keysDir: options.keysDir ?? join(dirname(options.dir), 'keys'),
    deployment: options.deployment,
    alone: options.alone ?? false,
    durability: options.durability,
    checkpointMs: options.checkpointMs ?? CHECKPOINT_MS,
    segmentBytesMax: options.segmentBytesMax ?? SEGMENT_BYTES_MAX,
    nowMs: clock.nowMs(),
  }
  // The thread needs no secret from the environment.
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData, env: {} })
  const ready = await firstAnswer(worker)
  return new ThreadedAuditLog(worker, { ready, clock, dir: join(options.dir, ready.name) })
}

function firstAnswer(worker: Worker): Promise<Ready> {
  const { promise, resolve, reject } = Promise.withResolvers<Ready>()
  worker.once('error', reject)
  worker.once('message', (message: FromWriter) => {
    worker.off('error', reject)
    if (message.kind === 'ready') resolve(message)
    else reject(new Error(`audit log: ${message.kind === 'cannot_open' ? message.message : message.kind}`))
  })
  return promise
}

class ThreadedAuditLog implements OpenedAuditLog {
  readonly name: string
  readonly origin: string
  readonly dir: string
  readonly recovered: Recovered
  readonly #worker: Worker
  readonly #clock: Clock
  readonly #ready: Ready
  readonly #waiting = new WaitingRecords()
  /** All below is owned by this object and changed on the event loop only. */
  #outbox: Entry[] = []
  /** Acknowledged records of the log. */
  #size: number
  #state: WriterState = 'open'
  #failure: string | undefined
  #closing: Promise<void> | undefined
  #closed = Promise.withResolvers<void>()

  constructor(worker: Worker, log: { readonly ready: Ready; readonly clock: Clock; readonly dir: string }) {
    this.#worker = worker
    this.#clock = log.clock
    this.#ready = log.ready
    this.name = log.ready.name
    this.origin = log.ready.origin
    this.recovered = log.ready.recovered
    this.dir = log.dir
    this.#size = log.ready.size
    worker.on('message', (message: FromWriter) => this.#take(message))
    worker.on('error', (error) => this.#fail(`the thread that writes the log failed: ${error}`))
    worker.on('exit', () => this.#fail('the thread that writes the log has ended'))
  }

  async append(draft: WrittenDraft, options: { readonly receipt?: boolean } = {}): Promise<Signed> {
    if (this.#failure !== undefined) throw new AuditUnavailable(this.#failure)
    const parts = recordParts(draft)
    const bytes = this.#bytesOf(parts)
    if (bytes > RECORD_BYTES_MAX) {
      throw new AuditUnavailable(
        `record ${draft.id} of ${bytes} bytes: at most ${RECORD_BYTES_MAX} fit; shorten its members`,
      )
    }
    const signed = this.#waiting.add(bytes)
    const receipt = options.receipt === true ? claimsOf(draft) : undefined
    this.#send({ parts, settles: settlesOf(draft), receipt })
    return await signed
  }

  #bytesOf(parts: RecordParts): number {
    return parts.reduce((sum, part) => sum + Buffer.byteLength(part), this.origin.length + ADDED_BYTES)
  }

  #send(entry: Entry): void {
    this.#outbox.push(entry)
    if (this.#outbox.length === 1) setImmediate(() => this.#flush())
  }

  #flush(): void {
    if (this.#outbox.length === 0) return
    this.#post({ kind: 'append', entries: this.#outbox, nowMs: this.#clock.nowMs() })
    this.#outbox = []
  }

  #post(message: ToWriter): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin; that is for windows.
    this.#worker.postMessage(message)
  }

  #take(message: FromWriter): void {
    switch (message.kind) {
      case 'acked':
        this.#size = message.firstSeq + message.count
        this.#state = 'open'
        for (const [index, waiting] of this.#waiting.take(message.count).entries()) {
          const { timeMs } = message
          waiting.resolve({ seq: message.firstSeq + index, timeMs, receipt: message.receipts[index] })
        }
        break
      case 'rejected':
        this.#setState(message.state)
        for (const waiting of this.#waiting.take(message.count)) waiting.reject(new AuditUnavailable(message.reason))
        break
      case 'state':
        this.#setState(message.state)
        break
      case 'closed':
        this.#fail('the log is closed')
        if (message.error === undefined) this.#closed.resolve()
        else this.#closed.reject(new AuditUnavailable(`the log was closed without its last record: ${message.error}`))
        break
      case 'ready':
      case 'cannot_open':
    }
  }

  #setState(state: WriterState): void {
    this.#state = state
    if (state === 'failed') this.#failure ??= 'the log cannot be written any more; restart the process to recover it'
  }

  /** Nothing more will be answered. */
  #fail(reason: string): void {
    this.#failure ??= reason
    this.#state = 'failed'
    for (const waiting of this.#waiting.take()) waiting.reject(new AuditUnavailable(this.#failure))
    this.#closed.resolve()
  }

  writable(): boolean {
    return this.#failure === undefined && this.#state === 'open' && this.#waiting.hasRoom
  }

  keys() {
    return { vkey: this.#ready.vkey, jwks: { keys: [this.#ready.receiptKey] } }
  }

  /** As far as acknowledged when reading begins. */
  records(reading: { readonly sinceMs?: number } = {}): AsyncIterable<AuditRecord> {
    return readRecords(this.dir, { ...reading, end: this.#size })
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#flush()
    this.#post({ kind: 'close', nowMs: this.#clock.nowMs() })
    this.#failure ??= 'the log is closing'
    const timeout = setTimeout(
      () => this.#closed.reject(new AuditUnavailable('the disk did not answer')),
      CLOSE_TIMEOUT_MS,
    )
    try {
      await this.#closed.promise
    } finally {
      clearTimeout(timeout)
      await this.#worker.terminate()
    }
  }
}
