/**
 * The thread that writes the log. It uses synchronous calls because it has nothing else to do and so takes none of the
 * process's few I/O threads. Whatever arrived during one sync is the next batch: no timer delays a record.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { formatVkey } from '../../domain/audit/checkpoint.ts'
import { HASH_BYTES } from '../../domain/audit/merkle.ts'
import type { Batch } from './batch.ts'
import { realDisk } from './disk.ts'
import { claimLogFolder } from './log-folder.ts'
import type { LogFolder } from './log-folder.ts'
import { publicJwk } from './log-keys.ts'
import { LogWriter } from './log-writer.ts'
import type { Entry, FromWriter, ToWriter, WriterOptions, WriterState } from './messages.ts'
import { closeEntry, openingEntries } from './life-records.ts'
import { receiptSigner } from './receipt.ts'
import type { ReceiptPlace } from './receipt.ts'
import { recoverLog } from './recover.ts'
import type { LogState } from './recover.ts'

/** How long an acknowledged record may be unsynced with durability `process`: what a power cut can cost. */
const PROCESS_SYNC_MS = 100

/** How often a full disk is tried again. */
const PROBE_MS = 1000

interface Running {
  readonly port: MessagePort
  readonly options: WriterOptions
  readonly folder: LogFolder
  readonly writer: LogWriter
  readonly sign: ReturnType<typeof receiptSigner>
  /** What the other thread was last told. Owned by this thread. */
  told: WriterState
  checkpointAtMs: number
}

async function main(port: MessagePort, options: WriterOptions): Promise<void> {
  let folder: LogFolder | undefined
  try {
    folder = claimLogFolder(options)
    const state = await recoverLog(folder)
    run(start(port, options, { folder, state }))
  } catch (error) {
    folder?.lock[Symbol.dispose]()
    tell(port, { kind: 'cannot_open', message: messageOf(error) })
    port.close()
  }
}

function start(
  port: MessagePort,
  options: WriterOptions,
  log: { readonly folder: LogFolder; readonly state: LogState },
): Running {
  const { folder, state } = log
  const { durability, segmentBytesMax, nowMs } = options
  const writer = new LogWriter({ folder, state, durability, segmentBytesMax, disk: realDisk })
  const previousSize = state.frontier.size
  writer.append(openingEntries({ vkey: formatVkey(folder.key), state, durability, nowMs }), nowMs)
  writer.checkpoint({ isKept: true })
  tell(port, {
    kind: 'ready',
    name: folder.name,
    origin: folder.origin,
    vkey: formatVkey(folder.key),
    receiptKey: publicJwk(folder.keys.receipt),
    recovered: {
      created: folder.created,
      clean: previousSize === 0 || state.lastType === 'close',
      tornBytes: state.tornBytes,
      previousSize,
      openDecisions: state.openDecisions.list(),
    },
    size: writer.size,
  })
  const sign = receiptSigner(folder.keys.receipt)
  return { port, options, folder, writer, sign, told: 'open', checkpointAtMs: performance.now() }
}

function run(log: Running): void {
  const { port, options, writer } = log
  const timers = [
    setInterval(() => quietly(log, () => checkpointIfDue(log)), options.checkpointMs),
    setInterval(() => quietly(log, () => writer.probe()), PROBE_MS),
  ]
  if (options.durability === 'process')
    timers.push(setInterval(() => quietly(log, () => writer.sync()), PROCESS_SYNC_MS))
  // The protocol's types hold: the other end of this port is the one file that starts this thread.
  port.on('message', (first: ToWriter) => {
    const messages = drain(port, first)
    const entries = messages.flatMap((message) => (message.kind === 'append' ? message.entries : []))
    const nowMs = Math.max(...messages.map((message) => message.nowMs))
    if (entries.length > 0) commit(log, entries, nowMs)
    quietly(log, () => checkpointIfDue(log))
    if (messages.at(-1)?.kind !== 'close') return
    for (const timer of timers) clearInterval(timer)
    close(log, nowMs)
  })
}

/** Everything queued; the sender bounds how much that is. */
function drain(port: MessagePort, first: ToWriter): readonly ToWriter[] {
  const messages = [first]
  for (;;) {
    const next: { message: ToWriter } | undefined = receiveMessageOnPort(port)
    if (next === undefined) return messages
    messages.push(next.message)
  }
}

function commit(log: Running, entries: readonly Entry[], nowMs: number): void {
  let batch: Batch
  try {
    batch = log.writer.append(entries, nowMs)
  } catch (error) {
    log.told = log.writer.state
    tell(log.port, { kind: 'rejected', count: entries.length, reason: messageOf(error), state: log.told })
    return
  }
  log.told = log.writer.state
  const { firstSeq, timeMs } = batch
  tell(log.port, { kind: 'acked', firstSeq, count: entries.length, timeMs, receipts: receiptsFor(log, entries, batch) })
}

function receiptsFor(log: Running, entries: readonly Entry[], batch: Batch): readonly (string | undefined)[] {
  if (entries.every((entry) => entry.receipt === undefined)) return []
  return entries.map((entry, index) => {
    if (entry.receipt === undefined) return undefined
    const leafHash = batch.leaves.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES)
    const place: ReceiptPlace = { log: log.folder.origin, seq: batch.firstSeq + index, timeMs: batch.timeMs, leafHash }
    return log.sign(entry.receipt, place)
  })
}

/** Also asked after each batch: under load the timer comes late. */
function checkpointIfDue(log: Running): void {
  const nowMs = performance.now()
  if (nowMs - log.checkpointAtMs < log.options.checkpointMs) return
  log.checkpointAtMs = nowMs
  log.writer.checkpoint({ isKept: false })
}

/** Work nobody waits for: the writer keeps what went wrong as its state, which the other thread is told. */
function quietly(log: Running, work: () => void): void {
  try {
    work()
  } catch {
    // The state below says it.
  }
  if (log.told === log.writer.state) return
  log.told = log.writer.state
  tell(log.port, { kind: 'state', state: log.told })
}

function close(log: Running, nowMs: number): void {
  let failure: string | undefined
  try {
    log.writer.append([closeEntry(nowMs)], nowMs)
    log.writer.checkpoint({ isKept: true })
  } catch (error) {
    failure = messageOf(error)
  }
  log.writer[Symbol.dispose]()
  log.folder.lock[Symbol.dispose]()
  tell(log.port, { kind: 'closed', error: failure })
  log.port.close()
}

function tell(port: MessagePort, message: FromWriter): void {
  port.postMessage(message)
}

/** With its causes, since errors do not cross threads whole. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`
}

if (parentPort === null) throw new Error('worker.ts is started by audit-log.ts, not by itself')
// The options' type holds: the one file that starts this thread passes them.
await main(parentPort, workerData as WriterOptions)
