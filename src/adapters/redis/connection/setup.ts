/**
 * How a Redis server is set up, as far as that decides whether budgets can be held in it. Read from INFO alone: managed
 * services do not let CONFIG be read.
 */
import type { LedgerFinding } from '../../../ports/ledger.ts'
import type { RedisCommands } from './client.ts'

/** The scripts need `SET … PXAT` and `ZADD … LT`, which came with it. */
const VERSION_MIN = [6, 2] as const

const SECTIONS = ['server', 'memory', 'persistence', 'replication'] as const

/** The fields of INFO by name. */
type Info = ReadonlyMap<string, string>

export async function inspectSetup(redis: RedisCommands): Promise<readonly LedgerFinding[]> {
  const stores = await redis.stores()
  const found = await Promise.all(stores.map(({ representative }) => inspectStore(redis, representative)))
  // Servers of one Cluster are set up alike: what several of them have in common is told once.
  return [...new Map(found.flat().map((finding) => [finding.message, finding])).values()]
}

async function inspectStore(redis: RedisCommands, shard: number): Promise<readonly LedgerFinding[]> {
  const texts = await redis.readAt(
    shard,
    SECTIONS.map((section) => ['INFO', section]),
  )
  return findingsOf(parseInfo(texts.join('\r\n')))
}

/** What INFO tells of a server that must not be used, or had better not be used so. */
export function findingsOf(info: Info): readonly LedgerFinding[] {
  return [versionFinding(info), evictionFinding(info), lossFinding(info)].filter((found) => found !== undefined)
}

export function parseInfo(text: string): Info {
  const lines = text.split(/\r?\n/).filter((line) => line.includes(':') && !line.startsWith('#'))
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]))
}

function versionFinding(info: Info): LedgerFinding | undefined {
  const version = info.get('redis_version') ?? 'unknown'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [leastMajor, leastMinor] = VERSION_MIN
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return undefined
  return { severity: 'error', message: `Redis ${version} is too old: use ${leastMajor}.${leastMinor} or newer` }
}

/** A server that evicts keys forgets what was spent. */
function evictionFinding(info: Info): LedgerFinding | undefined {
  const policy = info.get('maxmemory_policy')
  if (policy === 'noeviction') return undefined
  if (policy === undefined) {
    return { severity: 'warning', message: 'Redis does not tell its maxmemory-policy: make sure that it is noeviction' }
  }
  const what = `Redis has maxmemory-policy ${policy}, so it would delete budgets when its memory is full`
  return { severity: 'error', message: `${what}: set maxmemory-policy noeviction` }
}

/** INFO does not tell the schedule of snapshots; a snapshot is minutes old in any case. */
function lossFinding(info: Info): LedgerFinding | undefined {
  if (info.get('aof_enabled') === '1' || (info.get('connected_slaves') ?? '0') !== '0') return undefined
  return {
    severity: 'warning',
    message:
      'Redis has neither an append-only file nor a replica: a crash loses what it counted since its last snapshot',
  }
}
