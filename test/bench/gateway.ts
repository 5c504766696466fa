import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { startCommand } from './child.ts'
import type { Child } from './child.ts'
import { policySet } from './policy-set.ts'

const ROOT = join(import.meta.dirname, '../..')
const ENTRY = join(ROOT, 'src/main.ts')

/** As `npm start` and the image start it: a larger young generation halves the time its helper threads collect. */
const YOUNG_SPACE = '--max-semi-space-size=64'

const readySchema = z.object({ url: z.url() })

export interface Gateway extends Child {
  readonly url: string
  /** A caller with room in every limit and budget. */
  readonly token: string
  /** A caller whose budget is too small for any call. */
  readonly brokeToken: string
}

/** Starts the real gateway as an operator would, with everything on: identity, limits, budgets and the log on disk. */
export async function startGateway(input: {
  readonly folder: string
  readonly upstream: string
  readonly redis: string | undefined
}): Promise<Gateway> {
  const config = writeConfig(input)
  const { folder } = input
  const ready = join(folder, 'ready.json')
  const args = [YOUNG_SPACE, ENTRY, 'serve', '--config', config, '--ready-file', ready]
  const child = startCommand(process.execPath, args, { log: join(folder, 'gateway.log'), env: environment() })
  try {
    await child.until(() => existsSync(ready))
    const { url } = readySchema.parse(JSON.parse(readFileSync(ready, 'utf8')))
    const token = await issueToken(config, 'rich')
    const brokeToken = await issueToken(config, 'broke')
    return { ...child, url, token, brokeToken }
  } catch (error) {
    await child[Symbol.asyncDispose]()
    throw error
  }
}

/** Writes the configuration, the policy set and the provider's key below `folder`; JSON is YAML too. */
function writeConfig({ folder, upstream, redis }: Parameters<typeof startGateway>[0]): string {
  mkdirSync(folder, { recursive: true })
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const keyFile = write('provider.key', 'sk-bench')
  return write(
    'tollgate.yaml',
    JSON.stringify({
      listen: { host: '127.0.0.1', port: 0 },
      data: join(folder, 'data'),
      policies: [write('policies.yaml', JSON.stringify(policySet({ upstream, keyFile })))],
      pricing: join(ROOT, 'pricing'),
      ledger: redis === undefined ? { kind: 'memory' } : { kind: 'redis', url: redis },
      audit: { durability: 'disk' },
    }),
  )
}

/** What the shell happens to hold must not configure the gateway that is measured. */
function environment(): NodeJS.ProcessEnv {
  const foreign = (name: string) => /^(?:TOLLGATE_|PORT$|REDIS_URL)/.test(name)
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign(name)))
}

async function issueToken(config: string, team: string): Promise<string> {
  const who = [
    '--tenant',
    'bench',
    '--team',
    team,
    '--user',
    `${team}-user`,
    '--agent',
    'bench-agent',
    '--role',
    'caller',
  ]
  const args = [ENTRY, 'token', 'issue', '--config', config, ...who, '--ttl', '12h']
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: environment() })
  return stdout.trim()
}
