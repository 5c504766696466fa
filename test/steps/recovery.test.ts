import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openAuditLog } from '../../src/adapters/audit-log/audit-log.ts'
import { createMemoryLedger } from '../../src/adapters/memory/ledger.ts'
import { createPseudonyms } from '../../src/adapters/audit-log/pseudonyms.ts'
import { createIds } from '../../src/adapters/system/ids.ts'
import { Calibration } from '../../src/domain/prices/calibration.ts'
import type { Admitted } from '../../src/domain/decision.ts'
import { membersOf } from '../../src/domain/audit/record-members.ts'
import { settle } from '../../src/steps/settle.ts'
import { signDecision, signSettlement } from '../../src/steps/sign.ts'
import { recover } from '../../src/upkeep/recovery.ts'
import { budget } from '../domain/policy-fixtures.ts'
import { usage } from '../domain/price-fixtures.ts'
import { admitted, ending, purse, steps, TurnedClock } from './fixtures.ts'

const counter = { count: async () => undefined, [Symbol.asyncDispose]: async () => undefined }

const lifetime = budget({ name: 'lifetime', id: 'Blife000', amount: 100_000_000_000, period: 'lifetime' })
const RULES = { budgets: [purse, lifetime] }

async function openWorld() {
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-recovery-'))
  const clock = new TurnedClock()
  const auditLog = await openAuditLog({ dir: join(dir, 'audit'), deployment: 'test', durability: 'process' })
  onTestFinished(async () => {
    await auditLog[Symbol.asyncDispose]()
    rmSync(dir, { recursive: true, force: true })
  })
  return { auditLog, clock, ids: createIds(clock), pseudonyms: createPseudonyms({ keyFile: join(dir, 'keys/p.key') }) }
}

type World = Awaited<ReturnType<typeof openWorld>>

/** Starts as a process does whose ledger has forgotten everything. */
async function restart(world: World) {
  const ledger = createMemoryLedger({ clock: world.clock })
  const restore: typeof ledger.restore = (balances) => ledger.restore(balances)
  const { closed, restored } = await recover({ ...world, ledger, idleLogs: async () => [], restore })
  const recovered = { closed, restored }
  return { ledger, recovered }
}

const standing = async (ledger: ReturnType<typeof createMemoryLedger>, call: Admitted) =>
  (await ledger.balances(call.facts.charges.map((charge) => charge.accumulator))).map(({ settled, held }) => [
    settled,
    held,
  ])

async function finish(world: World, call: Admitted): Promise<bigint> {
  const end = ending({ usage: usage({ input: 100, output: 50 }) })
  const settlement = await settle(call, end, { counter, calibration: new Calibration() })
  await signSettlement(settlement, world.ids.next(), world)
  return settlement.cost
}

describe('a start after a kill', () => {
  it('closes open decisions at their bound, on record, and restores every balance', async () => {
    const world = await openWorld()
    const shared = steps()
    const [done, open] = [await admitted(RULES, {}, shared), await admitted(RULES, {}, shared)]
    for (const call of [done, open]) await signDecision(call, world)
    const cost = Number(await finish(world, done))

    const { ledger, recovered } = await restart(world)
    expect(recovered).toEqual({ closed: 1, restored: 2 })
    const bound = Number(open.facts.estimate.cost.upper)
    expect(await standing(ledger, open)).toEqual([
      [0, 0],
      [cost + bound, 0],
      [cost + bound, 0],
    ])
    const records = await Array.fromAsync(world.auditLog.records())
    const closing = records.filter((record) => membersOf(record['ref'])['id'] === open.facts.call.id)
    expect(closing).toMatchObject([{ type: 'settle', out: 'crash', basis: 'estimate_after_crash', rsv: open.hold.id }])
    expect(await ledger.holds(10)).toEqual([])
  })

  it('finds nothing more to close the second time, and the same balances', async () => {
    const world = await openWorld()
    const call = await admitted(RULES)
    await signDecision(call, world)
    const first = await restart(world)
    const second = await restart(world)
    expect(second.recovered).toEqual({ closed: 0, restored: 2 })
    expect(await standing(second.ledger, call)).toEqual(await standing(first.ledger, call))
  })

  it('leaves windows alone that are over', async () => {
    const world = await openWorld()
    const call = await admitted(RULES)
    await signDecision(call, world)
    await finish(world, call)
    world.clock.ms = Date.parse('2027-01-15T00:00:00Z')
    const { recovered } = await restart(world)
    expect(recovered.restored).toBe(1)
  })

  it('settles what a ledger that remembers still holds, as the log says', async () => {
    const world = await openWorld()
    const shared = steps()
    const [done, open] = [await admitted(RULES, {}, shared), await admitted(RULES, {}, shared)]
    for (const call of [done, open]) await signDecision(call, world)
    const cost = Number(await finish(world, done))

    const recovered = await recover({ ...world, ledger: shared.memory, idleLogs: async () => [], restore: undefined })
    expect(recovered).toMatchObject({ closed: 1, restored: 0 })
    await recovered.settleAgain(true)
    expect(await shared.memory.holds(10)).toEqual([])
    const bound = Number(open.facts.estimate.cost.upper)
    expect((await standing(shared.memory, open)).slice(1)).toEqual([
      [cost + bound, 0],
      [cost + bound, 0],
    ])
  })

  it('has nothing to do on an empty log', async () => {
    expect((await restart(await openWorld())).recovered).toEqual({ closed: 0, restored: 0 })
  })
})
