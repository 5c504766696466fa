/** Reserves whose answers are late or lost, on a real Redis: what was refused leaves nothing held and nothing spent. */
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { createRedisLedger } from '../../src/adapters/redis/ledger.ts'
import { systemTimer } from '../../src/adapters/system/timer.ts'
import type { Decision } from '../../src/domain/decision.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import { reserve } from '../../src/steps/reserve.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { startRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'
import { estimated, noRefinement, steps } from './fixtures.ts'

const CALLS = 30

/** The world of one gateway, with real waits. */
const world = (ledger: Ledger) => ({ ...steps(() => ledger), timer: systemTimer })

const balancesOf = async (ledger: Ledger, decision: Decision | undefined) =>
  ledger.balances((decision?.facts.charges ?? []).map((charge) => charge.accumulator))

describe('reserves without an answer', () => {
  it('of a store that stalls are refused, and nothing of them is held or spent once it goes on', async () => {
    await using server = await startRedis({ args: ['--enable-debug-command', 'yes'] })
    await using ledger = createRedisLedger({ url: server.url })
    await using seen = createRedisLedger({ url: server.url, commandTimeoutMs: 5_000 })
    const operator = new Redis(server.url)
    const gateway = world(ledger)
    const admitted = await reserve(estimated(), noRefinement, gateway)
    expect(admitted.kind).toBe('admitted')

    const stall = operator.call('DEBUG', 'SLEEP', '0.6')
    // Sent before the stall is over, because it is under way already.
    await until('the store does not answer', async () =>
      ledger.ping().then(
        () => undefined,
        () => true,
      ),
    )
    const decisions = await Promise.all(
      Array.from({ length: CALLS }, () => reserve(estimated(), noRefinement, gateway)),
    )
    expect(decisions.map((decision) => decision.kind)).toEqual(decisions.map(() => 'refused'))
    await stall
    await gateway.openCalls.idle()
    const abandoned = gateway.seen.filter(([name]) => name === 'settlementAbandoned')
    expect(abandoned).toEqual([])
    // The one hold that is left is that of the call which was admitted.
    expect((await seen.holds(CALLS + 1)).map(({ id }) => id)).toEqual([
      admitted.kind === 'admitted' ? admitted.hold.id : '',
    ])
    expect(await balancesOf(seen, admitted)).toMatchObject([
      {},
      { settled: 0, held: admitted.facts.charges?.[1]?.amount },
    ])
    operator.disconnect()
  })

  it('that were carried out and sent again leave nothing held', async () => {
    await using server = await startRedis()
    await using proxy = await startFaultProxy(server.port)
    await using ledger = createRedisLedger({ url: `redis://127.0.0.1:${proxy.port}`, commandTimeoutMs: 2_000 })
    await using seen = createRedisLedger({ url: server.url, commandTimeoutMs: 5_000 })
    const gateway = world(ledger)
    // The scripts are known to the store, so that the next answer is that of a reservation.
    const first = await reserve(estimated(), noRefinement, gateway)
    proxy.cutAnswers(1)
    const decision = await reserve(estimated(), noRefinement, gateway)
    expect(proxy.lost()).toBe(1)
    await gateway.openCalls.idle()
    expect(decision).toMatchObject({ kind: 'refused', refusal: { code: 'ledger_unavailable' } })
    expect((await seen.holds(10)).map(({ id }) => id)).toEqual([first.kind === 'admitted' ? first.hold.id : ''])
    expect(gateway.seen.at(-1)?.[0]).toBe('ledgerFailed')
  })
})
