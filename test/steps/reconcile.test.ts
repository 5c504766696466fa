import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openAuditLog } from '../../src/adapters/audit-log/audit-log.ts'
import { createPseudonyms } from '../../src/adapters/audit-log/pseudonyms.ts'
import { createIds } from '../../src/adapters/system/ids.ts'
import { foldSettlement } from '../../src/domain/ledger/balances.ts'
import type { SettledBalance } from '../../src/domain/ledger/balances.ts'
import { Calibration } from '../../src/domain/prices/calibration.ts'
import { LedgerUnavailable } from '../../src/domain/failures.ts'
import type { Admitted } from '../../src/domain/decision.ts'
import { formatUsd } from '../../src/domain/prices/money.ts'
import { membersOf } from '../../src/domain/audit/record-members.ts'
import { refuse } from '../../src/domain/refusal.ts'
import { LEASE_MS, localId } from '../../src/domain/ledger/reservation.ts'
import { spendBy } from '../../src/domain/audit/spend.ts'
import { settle } from '../../src/steps/settle.ts'
import { signDecision, signSettlement } from '../../src/steps/sign.ts'
import { reconcile } from '../../src/upkeep/reconcile.ts'
import { budget, policy } from '../domain/policy-fixtures.ts'
import { usage } from '../domain/price-fixtures.ts'
import { admitted, ending, estimated, otherwise, pace, purse, steps } from './fixtures.ts'

const counter = { count: async () => undefined, [Symbol.asyncDispose]: async () => undefined }
const wide = { ...purse, amount: 10 ** 15 }
const tokens = budget({ name: 'tokens', id: 'Btoken00', unit: 'tokens', amount: 10 ** 12, period: 'lifetime' })
const NONE = { corrected: 0, closed: 0, recorded: 0, freed: 0 }
const RULES = { limits: [pace], budgets: [wide, tokens] }

async function openWorld() {
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-reconcile-'))
  const auditLog = await openAuditLog({ dir: join(dir, 'audit'), deployment: 'test', durability: 'process' })
  onTestFinished(async () => {
    await auditLog[Symbol.asyncDispose]()
    rmSync(dir, { recursive: true, force: true })
  })
  const shared = steps()
  const rules = { policy: () => policy(RULES), prices: () => estimated().prices }
  const pseudonyms = createPseudonyms({ keyFile: join(dir, 'keys/p.key') })
  return { ...shared, auditLog, ids: createIds(shared.clock), pseudonyms, rules }
}

type World = Awaited<ReturnType<typeof openWorld>>

async function call(world: World): Promise<Admitted> {
  const { call: template } = estimated()
  return admitted(RULES, { call: { ...template, id: world.ids.next() } }, world)
}

async function finish(world: World, one: Admitted) {
  const end = ending({ usage: usage({ input: 100, output: 50 }) })
  const settlement = await settle(one, end, { counter, calibration: new Calibration() })
  await signSettlement(settlement, world.ids.next(), world)
  return settlement
}

/** Nobody keeps anything alive any more: every hold is charged in full. */
async function lapse(world: World): Promise<void> {
  world.clock.ms += LEASE_MS
  await world.memory.reap(1_000)
}

const records = (world: World) => Array.fromAsync(world.auditLog.records())

/** What ledger and log say of each budget of a call; they must be the same. */
async function books(world: World, { hold }: Admitted) {
  const budgets = hold.charges.map(({ accumulator }) => accumulator).filter(({ shape }) => shape.kind === 'budget')
  const states = await world.memory.balances(budgets)
  const balances = new Map<string, SettledBalance>()
  for (const record of await records(world)) if (record.type === 'settle') foldSettlement(record, balances, 0)
  return {
    ledger: states.map(({ settled, held }) => settled + held),
    log: budgets.map(({ key }) => balances.get(key)?.settled ?? 0),
  }
}

describe('an expired hold', () => {
  it('with a settlement on record is settled by the difference, without another record', async () => {
    const world = await openWorld()
    const one = await call(world)
    await signDecision(one, world)
    const settlement = await finish(world, one)
    await lapse(world)
    expect((await books(world, one)).ledger).toEqual(one.hold.charges.slice(1).map(({ amount }) => amount))
    const before = (await records(world)).length
    expect(await reconcile(world)).toEqual({ ...NONE, corrected: 1 })
    const spent = settlement.amounts.slice(1)
    expect(await books(world, one)).toEqual({ ledger: spent, log: spent })
    expect(await records(world)).toHaveLength(before)
    expect(await reconcile(world)).toEqual(NONE)
  })

  it('with a decision and nothing more on record is closed at its bound, on record', async () => {
    const world = await openWorld()
    const one = await call(world)
    await signDecision(one, world)
    await lapse(world)
    expect(await reconcile(world)).toEqual({ ...NONE, closed: 1 })
    const held = one.hold.charges.slice(1).map(({ amount }) => amount)
    expect(await books(world, one)).toEqual({ ledger: held, log: held })
    expect((await records(world)).at(-1)).toMatchObject({
      type: 'settle',
      out: 'crash',
      ref: { id: one.facts.call.id },
      rsv: one.hold.id,
    })
  })

  it('without a decision on record gets a record of its own, with what was charged', async () => {
    const world = await openWorld()
    const one = await call(world)
    await lapse(world)
    expect(await reconcile(world)).toEqual({ ...NONE, recorded: 1 })
    const held = one.hold.charges.slice(1).map(({ amount }) => amount)
    expect(await books(world, one)).toEqual({ ledger: held, log: held })
    const bound = formatUsd(one.facts.estimate.cost.upper)
    const record = (await records(world)).at(-1)
    expect(record).toMatchObject({
      type: 'settle',
      out: 'expired',
      basis: 'hold_without_decision',
      req: { id: one.facts.call.id },
      rsv: one.hold.id,
      usd: { est: bound, act: bound, delta: '0.000000000' },
      bkt: [{ rule: 'pace' }, { rule: 'purse', unit: 'usd', act: bound }, { rule: 'tokens', unit: 'tokens' }],
    })
    expect(membersOf(record?.['ref'])).toEqual({})
    const fold = spendBy(['tenant'], world.clock.ms - 10 * LEASE_MS, world.clock.ms)
    for (const each of await records(world)) fold.add(each)
    expect(fold.report().total).toMatchObject({ calls: 1, cost: one.facts.estimate.cost.upper })
    expect(await reconcile(world)).toEqual(NONE)
  })

  it('of a call that was refused is free again: an answer that was lost on its way charges nobody', async () => {
    const world = await openWorld()
    const one = await call(world)
    const refusal = refuse('ledger_unavailable', 'Try again shortly.')
    await signDecision({ kind: 'refused', facts: one.facts, refusal }, world)
    await lapse(world)
    expect(await reconcile(world)).toEqual({ ...NONE, freed: 1 })
    expect(await books(world, one)).toEqual({ ledger: [0, 0], log: [0, 0] })
    expect((await records(world)).filter(({ type }) => type === 'settle')).toEqual([])
    expect(await reconcile(world)).toEqual(NONE)
  })

  it('of a call that went on under another reservation is free again', async () => {
    const world = await openWorld()
    const one = await call(world)
    await signDecision({ ...one, hold: { ...one.hold, id: localId(one.hold.id) } }, world)
    await lapse(world)
    expect(await reconcile(world)).toEqual({ ...NONE, freed: 1 })
    expect((await books(world, one)).ledger).toEqual([0, 0])
  })

  it('of which a part is still held is recorded whole, and nothing of it is charged without a record', async () => {
    const world = await openWorld()
    const one = await call(world)
    await lapse(world)
    // A ledger of several stores names at first what has expired in one of them.
    const [pace_, dollars, ...rest] = one.hold.charges
    const ledger = otherwise(world.memory, {
      expired: async () => [{ ...one.hold, charges: [pace_!, dollars!], marks: one.hold.marks.slice(0, 2) }],
      settle: async () => ({ kind: 'settled', before: 'expired', overshoot: 0 }),
    })
    expect(await reconcile({ ...world, ledger })).toEqual({ ...NONE, recorded: 1 })
    expect(rest).toHaveLength(1)
    expect((await books(world, one)).log).toEqual([dollars!.amount, rest[0]!.amount])
    expect(await reconcile(world)).toEqual({ ...NONE, corrected: 1 })
    const held = one.hold.charges.slice(1).map(({ amount }) => amount)
    expect(await books(world, one)).toEqual({ ledger: held, log: held })
  })

  it('of a rule that is gone since is recorded all the same, as a whole number', async () => {
    const world = await openWorld()
    const one = await call(world)
    await lapse(world)
    await reconcile({ ...world, rules: { ...world.rules, policy: () => policy({ budgets: [wide] }) } })
    const held = one.hold.charges.slice(1).map(({ amount }) => amount)
    expect(await books(world, one)).toEqual({ ledger: held, log: held })
    expect((await records(world)).at(-1)).toMatchObject({ bkt: [{ rule: 'Lpace000' }, {}, { rule: 'Btoken00' }] })
  })

  it('of a call that goes on is left to it, and settles late by itself', async () => {
    const world = await openWorld()
    const one = await call(world)
    await signDecision(one, world)
    world.openCalls.open(one.hold, () => undefined)
    await lapse(world)
    expect(await reconcile(world)).toEqual(NONE)
    const settlement = await finish(world, one)
    expect(await world.memory.settle(one.hold, settlement.amounts)).toMatchObject({ before: 'expired' })
    for (const store of ['ledger', 'audit'] as const) world.openCalls.done(one.hold.id, store, true)
    expect(await reconcile(world)).toEqual(NONE)
    const spent = settlement.amounts.slice(1)
    expect(await books(world, one)).toEqual({ ledger: spent, log: spent })
  })

  it('of another node is left to its owner', async () => {
    const world = await openWorld()
    const { call: template } = estimated()
    const other = { ...world, auditLog: { origin: 'test/audit/other' } }
    await admitted(RULES, { call: { ...template, id: world.ids.next() } }, other)
    await lapse(world)
    expect(await reconcile(world)).toEqual(NONE)
    expect(await world.memory.expired('test/audit/other', 10)).toHaveLength(1)
  })

  it('is recorded once, also when the ledger is away between the record and the settlement', async () => {
    const world = await openWorld()
    const calls = [await call(world), await call(world)]
    await signDecision(calls[0]!, world)
    await lapse(world)
    const ledger = otherwise(world.memory, {
      settle: async () => {
        throw new LedgerUnavailable('away')
      },
    })
    for (let look = 0; look < 2; look += 1) {
      await expect(reconcile({ ...world, ledger })).rejects.toThrow('away')
    }
    await reconcile(world)
    const [one] = calls
    const held = one!.hold.charges.slice(1).map(({ amount }) => amount * 2)
    expect(await books(world, one!)).toEqual({ ledger: held, log: held })
    expect((await records(world)).filter(({ type }) => type === 'settle')).toHaveLength(2)
  })

  it('costs no reading of the log when there is none', async () => {
    const world = await openWorld()
    const auditLog = {
      ...world.auditLog,
      origin: world.auditLog.origin,
      append: () => Promise.reject(new Error('nothing is to be written')),
      records: () => {
        throw new Error('nothing is to be read')
      },
    }
    await call(world)
    expect(await reconcile({ ...world, auditLog })).toEqual(NONE)
  })
})
