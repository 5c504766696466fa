import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openAuditLog } from '../../src/adapters/audit-log/audit-log.ts'
import { Calibration } from '../../src/domain/prices/calibration.ts'
import { createMemoryLedger } from '../../src/adapters/memory/ledger.ts'
import { AuditUnavailable, LedgerUnavailable } from '../../src/domain/failures.ts'
import type { Admitted } from '../../src/domain/decision.ts'
import type { Settlement } from '../../src/domain/settlement.ts'
import type { AuditLog } from '../../src/ports/audit-log.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import { settle } from '../../src/steps/settle.ts'
import { commit } from '../../src/steps/settle/commit.ts'
import { look } from '../../src/upkeep/reconcile.ts'
import { createOpenCalls } from '../../src/upkeep/open-calls.ts'
import { usage } from '../domain/price-fixtures.ts'
import { admitted, ending, otherwise, steps } from './fixtures.ts'

/** How often a store is tried before it is given up for now. */
const ATTEMPTS = 16

/** How long a ledger remembers a settlement. */
const TOMBSTONE_MS = 120_000

/** A lease; a settlement that is given up later than this was given up too late. */
const LEASE_MS = 90_000

/** Counts what it is not asked to count. */
const counter = { count: async () => undefined, [Symbol.asyncDispose]: async () => undefined }

async function openLog(): Promise<AuditLog> {
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-commit-'))
  const log = await openAuditLog({ dir: join(dir, 'audit'), deployment: 'test', durability: 'process' })
  onTestFinished(async () => {
    await log[Symbol.asyncDispose]()
    rmSync(dir, { recursive: true, force: true })
  })
  return log
}

const settlementOf = (call: Admitted): Promise<Settlement> =>
  settle(call, ending({ usage: usage({ input: 100, output: 50 }) }), { counter, calibration: new Calibration() })

/** A world whose waits take no time and are added up. */
async function committing(faults: { ledger?: number; audit?: number } = {}) {
  const store: { current?: Ledger } = {}
  const failures = { ledger: faults.ledger ?? 0, audit: faults.audit ?? 0 }
  const world = steps()
  const call = await admitted({}, {}, world)
  const log = await openLog()
  const ledger = otherwise(world.memory, {
    async settle(hold, actual, options) {
      failures.ledger -= 1
      if (failures.ledger >= 0) throw new LedgerUnavailable('away')
      return (store.current ?? world.memory).settle(hold, actual, options)
    },
  })
  const auditLog: AuditLog = {
    origin: log.origin,
    async append(draft, options) {
      failures.audit -= 1
      if (failures.audit >= 0) throw new AuditUnavailable('full')
      return log.append(draft, options)
    },
    writable: () => log.writable(),
    keys: () => log.keys(),
    records: () => log.records(),
    [Symbol.asyncDispose]: async () => undefined,
  }
  const waited = { ms: 0 }
  const openCalls = createOpenCalls()
  openCalls.open(call.hold, () => undefined)
  const timer = {
    async wait(ms: number) {
      waited.ms += ms
      world.clock.ms += ms
    },
  }
  let ids = 0
  const parts = {
    ...world,
    ledger: ledger satisfies Ledger,
    auditLog,
    openCalls,
    timer,
    ids: { next: () => `settle-${(ids += 1)}` },
    pseudonyms: { of: () => 'p' },
  }
  const settled = async () => (await Array.fromAsync(log.records())).filter((record) => record.type === 'settle')
  /** Puts a ledger that knows nothing in the place of the one that holds the call. */
  const lose = () => (store.current = createMemoryLedger({ clock: world.clock }))
  return { world: parts, call, waited, settled, lose, log, memory: world.memory, seen: world.seen }
}

async function heldBy(memory: Ledger, call: Admitted): Promise<readonly number[]> {
  return (await memory.balances(call.facts.charges.map((charge) => charge.accumulator))).map(({ held }) => held)
}

describe('commit', () => {
  it('writes to the ledger and to the log, once each', async () => {
    const { world, call, settled, memory, waited, seen } = await committing()
    await commit(await settlementOf(call), world)
    expect(await heldBy(memory, call)).toEqual([0, 0])
    expect(await settled()).toMatchObject([{ id: 'settle-1', ref: { id: call.facts.call.id }, out: 'ok' }])
    expect(world.openCalls.count()).toBe(0)
    expect({ waited: waited.ms, seen }).toEqual({ waited: 0, seen: [] })
  })

  it.each(['ledger', 'audit'] as const)('tries the %s again until it is acknowledged', async (store) => {
    const { world, call, settled, memory, waited, seen } = await committing({ [store]: 5 })
    await commit(await settlementOf(call), world)
    expect(await heldBy(memory, call)).toEqual([0, 0])
    expect(await settled()).toHaveLength(1)
    expect(seen.map(([name, , where]) => [name, where])).toEqual(
      Array.from({ length: 5 }, () => ['settlementDelayed', store]),
    )
    expect(waited.ms).toBe(50 + 100 + 200 + 400 + 800)
  })

  it.each(['ledger', 'audit'] as const)(
    'leaves the call open until the %s has it, with what it came to',
    async (store) => {
      const { world, call } = await committing({ [store]: 1 })
      const settlement = await settlementOf(call)
      const during: unknown[] = []
      const timer = { wait: async () => void during.push(...world.openCalls.calls()) }
      await commit(settlement, { ...world, timer })
      expect(during).toEqual([{ hold: call.hold, settled: settlement.amounts }])
      expect(world.openCalls.count()).toBe(0)
    },
  )

  it('settles a hold that the ledger has lost meanwhile', async () => {
    const { world, call, lose, seen } = await committing()
    const left = lose()
    const settlement = await settlementOf(call)
    await commit(settlement, world)
    const budget = call.facts.charges[1]?.accumulator
    expect(budget?.shape.kind).toBe('budget')
    expect(await left.balances(budget === undefined ? [] : [budget])).toMatchObject([
      { settled: settlement.amounts[1], held: 0 },
    ])
    expect(seen).toEqual([])
  })

  it('does not settle by force what may have been settled and forgotten since, and says so', async () => {
    const { world, call, lose, seen, settled } = await committing({ ledger: 1 })
    const left = lose()
    const timer = { wait: async () => void (world.clock.ms += TOMBSTONE_MS) }
    await commit(await settlementOf(call), { ...world, timer })
    expect(
      (await heldBy(left, call)).concat(
        (await left.balances(call.facts.charges.map(({ accumulator }) => accumulator))).map(({ settled: sum }) => sum),
      ),
    ).toEqual([0, 0, 0, 0])
    expect(seen.at(-1)).toEqual(['settlementAbandoned', call.facts.call.id, 'ledger'])
    expect(await settled()).toHaveLength(1)
    expect(world.openCalls.count()).toBe(0)
  })

  it('gives the ledger up before the lease of the hold is over, says so, and still writes the log', async () => {
    const { world, call, settled, memory, waited, seen } = await committing({ ledger: Number.POSITIVE_INFINITY })
    await commit(await settlementOf(call), world)
    expect(seen.at(-1)).toEqual(['settlementAbandoned', call.facts.call.id, 'ledger'])
    expect(seen.filter(([name]) => name === 'settlementAbandoned')).toHaveLength(1)
    expect(waited.ms).toBeGreaterThan(30_000)
    expect(waited.ms).toBeLessThan(LEASE_MS - 30_000)
    expect(await settled()).toHaveLength(1)
    expect(world.openCalls.count()).toBe(0)
    expect((await heldBy(memory, call))[1]).toBeGreaterThan(0)
  })

  it('gives the log up without giving the ledger up', async () => {
    const { world, call, settled, memory, seen } = await committing({ audit: Number.POSITIVE_INFINITY })
    await commit(await settlementOf(call), world)
    expect(seen.at(-1)).toEqual(['settlementAbandoned', call.facts.call.id, 'audit'])
    expect(await heldBy(memory, call)).toEqual([0, 0])
    expect(await settled()).toEqual([])
  })

  it('owes the log what it did not take: the call stays open, and the record is written once the log takes it', async () => {
    const { world, call, settled } = await committing({ audit: ATTEMPTS + 1 })
    const settlement = await settlementOf(call)
    await commit(settlement, world)
    expect(world.openCalls.calls()).toEqual([{ hold: call.hold, settled: settlement.amounts }])
    expect(world.openCalls.holds()).toEqual([])
    const rules = { policy: () => call.facts.policy, prices: () => call.facts.prices }
    await look({ ...world, rules })
    expect(await settled()).toEqual([])
    expect(world.seen.at(-1)).toEqual(['auditFailed', expect.any(AuditUnavailable)])
    await look({ ...world, rules })
    expect(await settled()).toMatchObject([{ out: 'ok', ref: { id: call.facts.call.id } }])
    expect(world.openCalls.count()).toBe(0)
    expect(world.openCalls.takeFinished(10)).toEqual([call.hold])
  })
})
