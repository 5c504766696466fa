/**
 * One look at the store: its epoch in every shard, the rebuild that began it, the stamps, and which server answers.
 */
import { LedgerUnavailable } from '../../../domain/failures.ts'
import type { StoreView } from '../../../ports/ledger-store.ts'
import type { RedisCommands } from '../connection/client.ts'
import { ALL_SHARDS, FIRST_SHARD } from '../keys.ts'
import type { Keys } from '../keys.ts'
import { Reply } from '../replies.ts'

interface Looking {
  readonly redis: RedisCommands
  readonly keys: Keys
  readonly owner: string
}

export async function readView({ redis, keys, owner }: Looking): Promise<StoreView> {
  const epochs = ALL_SHARDS.map((shard) => keys.epoch(shard))
  const [replies, [rebuild], [time], servers] = await Promise.all([
    redis.read(redis.isSlotted ? epochs.map((key) => ['GET', key]) : [['MGET', ...epochs]]),
    redis.read([['HGETALL', keys.rebuild]]),
    redis.readAt(FIRST_SHARD, [['TIME']]),
    readServers({ redis, keys }),
  ])
  const all: readonly unknown[] = replies.flat()
  const seen = typeof all[FIRST_SHARD] === 'string' ? all[FIRST_SHARD] : ''
  const notes = toNotes(rebuild)
  const [seconds, micros] = new Reply(time).texts().map(Number)
  return {
    ...notes,
    seen,
    epoch: seen.replace(/^~/, ''),
    state: stateOf(seen, all, notes.id),
    servers: servers.map(({ id }) => id).join(','),
    stamps: new Map(servers.flatMap(({ part, stamps }) => pairOf(part, stamps.get(owner)))),
    peers: newest(servers.map(({ stamps }) => stamps)),
    nowMs: (seconds ?? 0) * 1_000 + Math.floor((micros ?? 0) / 1_000),
  }
}

interface Server {
  /** Name of its part of the store. */
  readonly part: string
  readonly id: string
  readonly stamps: ReadonlyMap<string, number>
}

async function readServers({ redis, keys }: Pick<Looking, 'redis' | 'keys'>): Promise<readonly Server[]> {
  const stores = await redis.stores()
  const reads = stores.map(async ({ representative }) => {
    const commands = [
      ['INFO', 'server'],
      ['HGETALL', keys.stamps(representative)],
    ] as const
    const [info, stamps] = await redis.readAt(representative, commands)
    const entries = toPairs(stamps).map(([origin, stamp]) => [origin, Number(stamp)] as const)
    return { part: `${representative}`, id: serverOf(info), stamps: new Map(entries) }
  })
  return Promise.all(reads)
}

function pairOf(part: string, stamp: number | undefined): readonly (readonly [string, number])[] {
  return stamp === undefined ? [] : [[part, stamp]]
}

function newest(stamps: readonly ReadonlyMap<string, number>[]): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  for (const [origin, stamp] of stamps.flatMap((one) => [...one])) {
    found.set(origin, Math.max(stamp, found.get(origin) ?? 0))
  }
  return found
}

/** While the last shards are being opened, those before them are open already. */
function stateOf(seen: string, all: readonly unknown[], id: string): StoreView['state'] {
  const epoch = seen.replace(/^~/, '')
  if (seen === '' || epoch !== id) return 'lost'
  const isOpen = seen === epoch
  if (!all.every((one) => one === seen || (!isOpen && one === epoch))) return 'lost'
  return isOpen ? 'open' : 'rebuilding'
}

type Notes = Pick<StoreView, 'told' | 'waitingFor' | 'givenUp' | 'checked'> & { readonly id: string }

/** See the epoch scripts for the fields of a rebuild. */
function toNotes(rebuild: unknown): Notes {
  const pairs = toPairs(rebuild)
  const named = (mark: string) => pairs.filter(([field]) => field.startsWith(mark)).map(([field]) => field.slice(2))
  const told = new Set(named('d:'))
  const givenUp = new Set(named('x:'))
  return {
    id: new Map(pairs).get('id') ?? '',
    told,
    givenUp,
    waitingFor: named('e:').filter((origin) => !told.has(origin) && !givenUp.has(origin)),
    checked: new Map(
      pairs.filter(([field]) => field.startsWith('v:')).map(([field, value]) => [field.slice(2), value]),
    ),
  }
}

/** HGETALL as ioredis answers a command that is called by its name: a flat list. */
function toPairs(reply: unknown): readonly (readonly [string, string])[] {
  const texts = new Reply(reply).texts()
  return texts.flatMap((text, index) => (index % 2 === 0 ? [[text, texts[index + 1] ?? ''] as const] : []))
}

function serverOf(info: unknown): string {
  const id = typeof info === 'string' ? /^run_id:(\S+)/m.exec(info)?.[1] : undefined
  if (id === undefined) throw new LedgerUnavailable('Redis: INFO names no run_id')
  return id
}
