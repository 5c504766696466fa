import { sayHeading } from './print.ts'
import type { Command, Runner } from './runner.ts'

const FIX =
  'redis-server is missing and cannot be installed from here: ' +
  'install it (Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis) and run npm test again'

/** No question may wait for an answer, and no daemon is wanted: the tests start their own server on their own port. */
const APT_ENV = ['DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1']

const ask = (command: string, ...args: string[]): Command => ({ command, args, quiet: true })

/** Finds `redis-server`, else installs it where that is allowed; otherwise says in one sentence what to do. */
export async function ensureRedis(run: Runner, isRoot = process.getuid?.() === 0): Promise<string | undefined> {
  if (await isThere(run)) return undefined
  const root = isRoot ? [] : await sudoPrefix(run)
  if (root === undefined || (await run(ask('apt-get', '--version'))) !== 0) return FIX
  sayHeading('installing redis-server')
  const apt = (...args: string[]): Command => {
    const [command = 'env', ...rest] = [...root, 'env', ...APT_ENV, 'apt-get', '--quiet', '--yes', ...args]
    return { command, args: rest }
  }
  // A bare image has no package lists, and a stale one may name versions that are gone; the install decides.
  await run(apt('update'))
  await run(apt('install', '--no-install-recommends', 'redis-server'))
  return (await isThere(run)) ? undefined : FIX
}

async function isThere(run: Runner): Promise<boolean> {
  return (await run(ask('redis-server', '--version'))) === 0
}

/** What to put before a command that needs root, if sudo asks for no password. */
async function sudoPrefix(run: Runner): Promise<readonly string[] | undefined> {
  return (await run(ask('sudo', '-n', 'true'))) === 0 ? ['sudo', '-n'] : undefined
}
