/**
 * Keeps this gateway from deciding by a store that lost what it was told. It looks after the store once a second and when
 * the store says that something is amiss; while it is not sure, nothing is reserved, and it does what it takes to be sure:
 *
 *   lost        the store is emptied, by one gateway, and a new epoch begins
 *   rebuilding  every log tells what it settled and what is open; when all have, the epoch is opened
 *   open        a log that has not told yet does so; a server that changed is checked
 */
import { LedgerUnavailable } from '../domain/failures.ts'
import type { ShardOfKey } from '../domain/policy/rule-shards.ts'
import type { Ids, Timer } from '../ports.ts'
import type { AuditLog, IdleLog } from '../ports/audit-log.ts'
import type { Events } from '../ports/events.ts'
import type { LedgerStore, StoreView } from '../ports/ledger-store.ts'
import type { Ledger } from '../ports/ledger.ts'
import type { StoreMemory, StoreNotes } from '../ports/store-notes.ts'
import type { OpenCallRegistry } from './open-calls.ts'
import { ServerCheck } from './server-check.ts'
import { OwnTelling, tellIdle } from './telling.ts'
import type { Told } from './telling.ts'

/** Time between two looks at a store that is good. */
const LOOK_EVERY_MS = 1_000

/** Time between two steps while it is not: most wait for another gateway, which does its own in milliseconds. */
const STEP_EVERY_MS = 100

/** Time between two looks at who is still missing: that gateway has to be started, or given up. */
const WAIT_EVERY_MS = 500

const NOTHING: StoreMemory = { epoch: '', servers: '', stamps: {}, peers: [] }

export interface Keeping {
  readonly store: LedgerStore
  readonly ledger: Pick<Ledger, 'settle' | 'reassert'>
  readonly auditLog: Pick<AuditLog, 'origin' | 'records' | 'append'>
  readonly idleLogs: () => Promise<readonly IdleLog[]>
  readonly openCalls: Pick<OpenCallRegistry, 'calls' | 'holds'>
  readonly notes: StoreNotes
  readonly events: Pick<Events, 'ledgerClosed' | 'ledgerOpened' | 'ledgerFailed'>
  readonly timer: Timer
  readonly ids: Ids
  readonly shardOf: () => ShardOfKey
  /** What a start still has to tell the ledger, once it may: settlements that its predecessor may not have told. */
  readonly onFirstOpening: (isSameEpoch: boolean) => Promise<void>
}

export class LedgerKeeper implements AsyncDisposable {
  readonly #world: Keeping
  readonly #own: OwnTelling
  readonly #check: ServerCheck
  /** All below is owned by this object; one round runs at a time. */
  #memory = NOTHING
  #isGood = false
  #wasOpen = false
  #told: Told = { facts: 0, calls: 0 }
  #closedSinceMs = performance.now()
  #wake: () => void = () => undefined
  #stopped = false
  #running: Promise<void> = Promise.resolve()
  readonly #firstOpening = Promise.withResolvers<void>()

  constructor(world: Keeping) {
    const { auditLog, openCalls, store, shardOf, ids } = world
    this.#world = world
    const teller = { store, shardOf, ids, origin: auditLog.origin, records: () => auditLog.records() }
    this.#own = new OwnTelling({ ...teller, openCalls: () => openCalls.calls() })
    this.#check = new ServerCheck({ ...world, origin: auditLog.origin })
  }

  /** Begins; resolves at the first opening, or after `waitMs`. The work goes on. */
  async start(waitMs: number): Promise<void> {
    this.#memory = (await this.#world.notes.read()) ?? NOTHING
    this.#world.store.onNotice(() => this.#doubt())
    this.#running = this.#run()
    const timer = setTimeout(() => this.#firstOpening.resolve(), waitMs)
    await this.#firstOpening.promise.finally(() => clearTimeout(timer))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    this.#wake()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const pauseMs = await this.#round()
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      // The process is kept alive by its sockets, not by this.
      // A doubt that came up during the round is looked into at once.
      const timer = setTimeout(resolve, this.#isGood ? LOOK_EVERY_MS : Math.min(pauseMs, WAIT_EVERY_MS))
      if (this.#stopped || pauseMs === 0) resolve()
      await promise.finally(() => clearTimeout(timer))
    }
  }

  /** Answers how long to wait for the next. */
  async #round(): Promise<number> {
    try {
      if (this.#isGood) await this.#look()
      return this.#isGood ? LOOK_EVERY_MS : await this.#step()
    } catch (error) {
      // Away is not lost: the ledger itself says so to its callers, and the store is checked when it is back.
      if (!(error instanceof LedgerUnavailable)) this.#isGood = false
      this.#world.events.ledgerFailed('keep', error)
      return STEP_EVERY_MS
    }
  }

  #doubt(): void {
    this.#isGood = false
    this.#wake()
  }

  async #look(): Promise<void> {
    const { store } = this.#world
    this.#isGood = await store.probe(this.#memory.epoch)
    if (!this.#isGood) return
    if (store.needsStamp()) await this.#stamp()
    await this.#rememberPeers(await store.peers())
  }

  async #stamp(): Promise<void> {
    const stamped = await this.#check.stamp(this.#memory)
    if (stamped === undefined) return this.#doubt()
    await this.#write(stamped)
  }

  async #step(): Promise<number> {
    const view = await this.#world.store.view()
    const { state, epoch, told } = view
    if (state === 'lost') return this.#wipe(view)
    if (state === 'rebuilding') return this.#rebuild(view)
    if (told.has(this.#origin)) return this.#verify(view)
    // A store that does not know what this gateway told it was put back to an earlier state.
    return this.#memory.epoch === epoch ? this.#wipe(view) : this.#joinLate(view)
  }

  async #wipe(view: StoreView): Promise<number> {
    await this.#closed('lost', '')
    await this.#remember(view)
    return (await this.#world.store.wipe(view.seen)) === 'busy' ? STEP_EVERY_MS : 0
  }

  async #rebuild(view: StoreView): Promise<number> {
    const { store } = this.#world
    if (!view.told.has(this.#origin)) {
      await this.#closed('rebuilding', '')
      await this.#remember(view)
    }
    if (!(await this.#tell(view))) return STEP_EVERY_MS
    const opening = await store.openEpoch(view.epoch)
    if (opening.kind !== 'waiting') return 0
    await this.#closed('waiting', opening.origins.join(', '))
    return WAIT_EVERY_MS
  }

  /** A new log, or one that was given up, comes to an epoch that is open. */
  async #joinLate(view: StoreView): Promise<number> {
    await this.#world.store.close('rebuilding')
    return (await this.#tell(view)) ? 0 : STEP_EVERY_MS
  }

  /** Own log first; then those of this folder whose processes are gone. */
  async #tell(view: StoreView): Promise<boolean> {
    const { store, shardOf } = this.#world
    if (!view.told.has(this.#origin)) {
      const expected = this.#memory.peers.filter((peer) => !view.givenUp.has(peer))
      if (!(await this.#heed(view, await this.#own.tell(view.epoch, expected)))) return false
    }
    const idle = await this.#world.idleLogs()
    try {
      for (const log of idle.filter(({ origin }) => !view.told.has(origin))) {
        if (!(await this.#heed(view, await tellIdle(log, { store, shardOf }, { epoch: view.epoch, expected: [] }))))
          return false
      }
    } finally {
      for (const log of idle) log[Symbol.dispose]()
    }
    return true
  }

  async #heed(view: StoreView, outcome: Awaited<ReturnType<OwnTelling['tell']>>): Promise<boolean> {
    if (outcome.kind === 'torn') await this.#wipe(view)
    if (outcome.kind === 'told') {
      const { facts, calls } = outcome
      this.#told = { facts: this.#told.facts + facts, calls: this.#told.calls + calls }
    }
    return outcome.kind === 'told' || outcome.kind === 'done'
  }

  async #verify(view: StoreView): Promise<number> {
    const { store, onFirstOpening } = this.#world
    const memory = this.#memory.epoch === view.epoch ? this.#memory : { ...this.#memory, servers: '', stamps: {} }
    store.know(view.epoch, 'unverified')
    if ((await this.#check.check(view, memory)) === 'lost') return this.#wipe(view)
    if (this.#memory.epoch !== view.epoch) await this.#record(view)
    if (!this.#wasOpen) await onFirstOpening(memory === this.#memory)
    if (!(await store.open(view.epoch, view.servers))) return 0
    this.#isGood = true
    await this.#write({ ...memory, epoch: view.epoch, servers: view.servers })
    await this.#stamp()
    this.#opened()
    return 0
  }

  /** Logs that were given up: what they settled is missing from now on, and that is on record. */
  async #record({ epoch, givenUp, told }: StoreView): Promise<void> {
    const missing = [...givenUp].filter((origin) => !told.has(origin))
    if (missing.length === 0) return
    const { auditLog, ids } = this.#world
    await auditLog.append({ v: 1, type: 'ledger', id: ids.next(), epoch, without: missing })
  }

  #opened(): void {
    if (!this.#isGood) return
    this.#world.events.ledgerOpened({ ...this.#told, closedMs: performance.now() - this.#closedSinceMs })
    this.#told = { facts: 0, calls: 0 }
    this.#wasOpen = true
    this.#firstOpening.resolve()
  }

  async #closed(fault: 'lost' | 'rebuilding' | 'waiting', detail: string): Promise<void> {
    await this.#world.store.close(fault, detail)
    this.#world.events.ledgerClosed(fault, detail)
  }

  /** Remembers which gateways there are: a store that is lost does not know. */
  async #remember({ peers, givenUp, told }: StoreView): Promise<void> {
    await this.#rememberPeers([...peers.keys()], (peer) => !givenUp.has(peer) || told.has(peer))
  }

  async #rememberPeers(peers: readonly string[], isKept: (peer: string) => boolean = () => true): Promise<void> {
    const kept = [...new Set([...this.#memory.peers, ...peers])].filter(isKept).toSorted()
    if (kept.join('\n') !== this.#memory.peers.join('\n')) await this.#write({ ...this.#memory, peers: kept })
  }

  async #write(memory: StoreMemory): Promise<void> {
    this.#memory = memory
    await this.#world.notes.write(memory)
  }

  get #origin(): string {
    return this.#world.auditLog.origin
  }
}
