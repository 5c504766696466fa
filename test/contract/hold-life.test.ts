/**
 * The life of a hold over hours, in virtual time: the real heartbeat and the real reaper, on each ledger.
 */
import { describe, expect, test } from 'vitest'

import { HEARTBEAT_MS, LEASE_MS } from '../../src/domain/ledger/reservation.ts'
import type { Hold } from '../../src/domain/ledger/reservation.ts'
import { beat } from '../../src/upkeep/heartbeat.ts'
import { createOpenCalls } from '../../src/upkeep/open-calls.ts'
import { reapOverdue } from '../../src/upkeep/reaper.ts'
import { openCluster, openMemory, openRedis } from '../support/ledgers.ts'
import type { VirtualLedger } from '../support/ledgers.ts'
import { asks, hold, hourly, lifetime, places, take } from './ledger-fixtures.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** A gateway that lives on one ledger: its open calls, and what it would tell. */
function node(under: VirtualLedger) {
  const openCalls = createOpenCalls(() => under.nowMs())
  const told: [string, number][] = []
  const tell = (name: string) => (count: number) => void told.push([name, count])
  const events = {
    callsOutlived: tell('outlived'),
    holdsExpired: tell('expired'),
    holdsLost: tell('lost'),
    holdsReasserted: tell('reasserted'),
    ledgerFailed(_: string, error: unknown) {
      throw error
    },
  }
  const ended: string[] = []
  return {
    told,
    ended,
    open(call: Hold) {
      openCalls.open(call, () => void ended.push(call.id))
      return call
    },
    beat: () => beat({ ledger: under.ledger, openCalls, events }),
    reap: () => reapOverdue({ ledger: under.ledger, events }),
  }
}

/** Lets this much time pass, with what each living node does meanwhile. */
async function pass(under: VirtualLedger, ms: number, nodes: readonly ReturnType<typeof node>[]): Promise<void> {
  for (let passed = 0; passed < ms; passed += HEARTBEAT_MS) {
    await under.advance(HEARTBEAT_MS)
    for (const one of nodes) await one.reap()
    for (const one of nodes) await one.beat()
  }
}

describe.each([
  ['memory', openMemory],
  ['Redis', openRedis],
  ['Redis Cluster', openCluster],
] as const)('a hold on %s', (_, open) => {
  // On a Cluster the two have shards of their own, so the hold has two parts.
  const dollars = lifetime(1_000)
  const seats = places(10, { shard: 900 })

  test('of a two-hour stream is kept by heartbeats; one whose process died is charged at the end of its lease', async () => {
    await using under = await open()
    const [alive, other] = [node(under), node(under)]
    const stream = alive.open(await hold(under.ledger, [take(dollars, 300), take(seats)]))
    await hold(under.ledger, [take(dollars, 200), take(seats)])
    await pass(under, LEASE_MS - HEARTBEAT_MS, [alive, other])
    expect(await under.ledger.balances([dollars, seats])).toMatchObject([{ settled: 0, held: 500 }, { held: 2 }])
    await pass(under, HEARTBEAT_MS, [alive, other])
    expect(await under.ledger.balances([dollars, seats])).toMatchObject([{ settled: 200, held: 300 }, { held: 1 }])
    await pass(under, 2 * HOUR, [alive, other])
    expect(await under.ledger.reserve(asks([take(dollars, 501)]))).toMatchObject({ kind: 'refused' })
    expect(await under.ledger.settle(stream, [120, 1])).toEqual({ kind: 'settled', before: 'held', overshoot: 0 })
    expect(await under.ledger.balances([dollars, seats])).toMatchObject([{ settled: 320, held: 0 }, { held: 0 }])
    expect({ told: [...alive.told, ...other.told], ended: alive.ended }).toEqual({
      told: [['expired', 1]],
      ended: [],
    })
  })

  test('is let go after three hours, its call is ended, and what it settles then is exact', async () => {
    await using under = await open()
    const alive = node(under)
    const stream = alive.open(await hold(under.ledger, [take(dollars, 300)]))
    await pass(under, 3 * HOUR, [alive])
    expect(alive.ended).toEqual([])
    await pass(under, HEARTBEAT_MS, [alive])
    expect(alive.ended).toEqual([stream.id])
    await pass(under, LEASE_MS, [alive])
    expect(alive.told).toEqual([
      ['outlived', 1],
      ['expired', 1],
    ])
    await under.ledger.settle(stream, [120])
    expect(await under.ledger.balances([dollars])).toMatchObject([{ settled: 120, held: 0 }])
  })

  test('whose node was away beyond its lease is charged, and its late settlement corrects its own window', async () => {
    await using under = await open()
    const [paused, other] = [node(under), node(under)]
    const window = hourly(under.nowMs(), 1_000)
    const call = paused.open(await hold(under.ledger, [take(window, 300), take(seats)]))
    await pass(under, HOUR, [other])
    const next = hourly(under.nowMs(), 1_000)
    await paused.beat()
    expect(paused.told).toEqual([['lost', 1]])
    expect(await under.ledger.settle(call, [120, 1])).toMatchObject({ before: 'expired' })
    expect(await under.ledger.settle(call, [120, 1])).toEqual({ kind: 'already' })
    expect(await under.ledger.balances([window, next, seats])).toMatchObject([
      { settled: 120, held: 0 },
      { settled: 0, held: 0 },
      { held: 0 },
    ])
  })

  test('that the store lost is held again at the next heartbeat', async () => {
    await using under = await open()
    const alive = node(under)
    const call = alive.open(await hold(under.ledger, [take(dollars, 300)]))
    await under.clear()
    await pass(under, 10 * MINUTE, [alive])
    expect(alive.told).toEqual([['reasserted', 1]])
    expect(await under.ledger.settle(call, [120])).toMatchObject({ before: 'held' })
    expect(await under.ledger.balances([dollars])).toMatchObject([{ settled: 120, held: 0 }])
  })
})
