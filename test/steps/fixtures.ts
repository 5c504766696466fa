/** One call as the steps see it: real policy, real prices, a real ledger in memory, and a clock that a test turns. */
import { createMemoryLedger } from '../../src/adapters/memory/ledger.ts'
import type { Admitted } from '../../src/domain/decision.ts'
import type { BudgetRule, LimitRule, RunRule } from '../../src/domain/policy/policy.ts'
import type { PriceTable } from '../../src/domain/prices/prices.ts'
import type { Ending } from '../../src/domain/settlement.ts'
import type { Clock } from '../../src/ports.ts'
import type { Events } from '../../src/ports/events.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import { reserve } from '../../src/steps/reserve.ts'
import type { Estimated } from '../../src/steps/reserve/attempt.ts'
import { createOpenCalls } from '../../src/upkeep/open-calls.ts'
import { budget, estimate, identity, limit, NOW, policy, upstream } from '../domain/policy-fixtures.ts'
import { askOf, model } from '../domain/price-fixtures.ts'

export class TurnedClock implements Clock {
  ms = NOW

  nowMs(): number {
    return this.ms
  }
}

/** What was told to operators, in order: the event's name and its first two facts. */
function recordingEvents() {
  const seen: (readonly unknown[])[] = []
  const tell =
    (name: string) =>
    (...facts: readonly unknown[]): void =>
      void seen.push([name, ...facts.slice(0, 2)])
  const events: Events = {
    decided: tell('decided'),
    authenticationFailed: tell('authenticationFailed'),
    settled: tell('settled'),
    issuerKeysFailed: tell('issuerKeysFailed'),
    settlementDelayed: tell('settlementDelayed'),
    settlementAbandoned: tell('settlementAbandoned'),
    upstreamFailed: tell('upstreamFailed'),
    ledgerFailed: tell('ledgerFailed'),
    auditFailed: tell('auditFailed'),
    callsOutlived: tell('callsOutlived'),
    holdsExpired: tell('holdsExpired'),
    holdsLost: tell('holdsLost'),
    holdsReconciled: tell('holdsReconciled'),
    holdsReasserted: tell('holdsReasserted'),
    ledgerClosed: tell('ledgerClosed'),
    ledgerOpened: tell('ledgerOpened'),
    unexpected: tell('unexpected'),
  }
  return { events, seen }
}

export const purse = budget({ name: 'purse', id: 'Bpurse00', amount: 100_000_000_000 })
export const pace = limit({ name: 'pace', id: 'Lpace000' })

let calls = 0

export interface Rules {
  readonly limits?: readonly LimitRule[]
  readonly budgets?: readonly BudgetRule[]
  readonly runs?: readonly RunRule[]
}

const prices: PriceTable = {
  version: '0'.repeat(64),
  canonical: '{}',
  find: (_provider, name) => (name === model().id ? model() : undefined),
}

/** Everything that a reservation is made from. */
export function estimated(
  { limits = [pace], budgets = [purse], runs = [] }: Rules = {},
  more: Partial<Estimated> = {},
): Estimated {
  calls += 1
  return {
    call: {
      id: `call-${calls}`,
      startedAtMs: NOW,
      credential: { kind: 'token', token: 'x' },
      endpoint: '/v1/chat/completions',
      wireHeaders: {},
      ip: '',
      readBody: async () => new Uint8Array(),
    },
    policy: policy({ limits, budgets, runs }),
    prices,
    identity: identity(),
    ask: askOf('Hello'),
    target: { upstream: upstream(), model: model().id },
    price: model(),
    estimate: estimate(),
    ...more,
  }
}

export function steps(wrap: (ledger: Ledger) => Ledger = (ledger) => ledger) {
  const clock = new TurnedClock()
  const memory = createMemoryLedger({ clock })
  const { events, seen } = recordingEvents()
  const waits: number[] = []
  // Time passes at once; what would have been waited is remembered.
  const timer = { wait: async (ms: number) => void waits.push(ms) }
  const auditLog = { origin: 'test/audit/log' }
  return { auditLog, clock, memory, ledger: wrap(memory), events, seen, openCalls: createOpenCalls(), timer, waits }
}

/** A ledger of which some operations are done otherwise. */
export function otherwise(ledger: Ledger, changes: Partial<Ledger>): Ledger {
  return {
    kind: ledger.kind,
    reserve: (request) => ledger.reserve(request),
    settle: (hold, actual, options) => ledger.settle(hold, actual, options),
    void: (hold) => ledger.void(hold),
    extend: (holds, leaseMs) => ledger.extend(holds, leaseMs),
    reassert: (hold, leaseMs) => ledger.reassert(hold, leaseMs),
    reap: (max) => ledger.reap(max),
    balances: (accumulators) => ledger.balances(accumulators),
    holds: (max) => ledger.holds(max),
    budgets: (wanted) => ledger.budgets(wanted),
    find: (id) => ledger.find(id),
    expired: (owner, max) => ledger.expired(owner, max),
    noteOf: (id) => ledger.noteOf(id),
    release: (holds) => ledger.release(holds),
    ping: () => ledger.ping(),
    [Symbol.asyncDispose]: () => ledger[Symbol.asyncDispose](),
    ...changes,
  }
}

export const noRefinement = async () => undefined

export async function admitted(rules: Rules = {}, more: Partial<Estimated> = {}, world = steps()): Promise<Admitted> {
  const decision = await reserve(estimated(rules, more), noRefinement, world)
  if (decision.kind === 'refused') throw new Error(decision.refusal.message)
  return decision
}

export function ending(more: Partial<Ending> = {}): Ending {
  return {
    word: 'ok',
    consumed: 'maybe',
    usage: undefined,
    outputTexts: () => [],
    outputBytesBeyond: 0,
    status: 200,
    upstreamRequestId: undefined,
    totalMs: 5,
    firstByteMs: undefined,
    ...more,
  }
}
