/**
 * Ledgers with one deliberate bug each, made from the text that serves. The text to replace must be there exactly once,
 * so a mutant cannot outlive the line that it breaks.
 */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { createMemoryLedger } from '../../../src/adapters/memory/ledger.ts'
import type { createRedisLedger } from '../../../src/adapters/redis/ledger.ts'
import { readPiece } from '../../../src/adapters/redis/scripts.ts'
import type { ReadPiece } from '../../../src/adapters/redis/scripts.ts'

export interface Mutation {
  readonly bug: string
  /** A file below `src`, or the name of a Lua piece. */
  readonly where: string
  readonly from: string
  readonly to: string
}

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** What a ledger is made of: all that its files import. */
const PARTS = ['domain', 'ports', 'ports.ts', 'adapters/memory', 'adapters/redis']

function mutated(text: string, { where, from, to }: Mutation): string {
  const found = text.split(from).length - 1
  if (found !== 1) throw new Error(`${where}: the text to break is there ${found} times, not once: ${from}`)
  return text.replace(from, () => to)
}

/** Scripts of which one piece has the bug. */
export function mutatedPieces(mutation: Mutation): ReadPiece {
  // Fails here when the text is gone, not in the first script that is loaded.
  const broken = mutated(readPiece(mutation.where), mutation)
  return (name) => (name === mutation.where ? broken : readPiece(name))
}

export interface MutatedLedgers extends AsyncDisposable {
  readonly createMemoryLedger: typeof createMemoryLedger
  readonly createRedisLedger: typeof createRedisLedger
}

/** A copy of the sources, of which one file has the bug, loaded beside those that serve. */
export async function mutatedLedgers(mutation: Mutation): Promise<MutatedLedgers> {
  const dir = await mkdtemp(join(tmpdir(), 'tollgate-mutant-'))
  const dispose = () => rm(dir, { recursive: true, force: true })
  try {
    for (const part of PARTS) await cp(join(ROOT, 'src', part), join(dir, 'src', part), { recursive: true })
    await symlink(join(ROOT, 'node_modules'), join(dir, 'node_modules'))
    await writeFile(join(dir, 'package.json'), '{"type": "module"}')
    const file = join(dir, 'src', mutation.where)
    await writeFile(file, mutated(await readFile(file, 'utf8'), mutation))
    const load = async (adapter: string): Promise<unknown> => import(join(dir, 'src/adapters', adapter, 'ledger.ts'))
    // The copies export what the originals export.
    const memory = (await load('memory')) as Pick<MutatedLedgers, 'createMemoryLedger'>
    const redis = (await load('redis')) as Pick<MutatedLedgers, 'createRedisLedger'>
    return { ...memory, ...redis, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}
