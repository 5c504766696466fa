/**
 * A real Redis Sentinel of its own for a test. It watches one primary, and makes a replica the primary when that is gone.
 */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePort, launch } from './redis-server.ts'

export interface TestSentinel extends AsyncDisposable {
  readonly endpoint: { readonly host: string; readonly port: number }
  /** By which it knows the primary. */
  readonly name: string
}

const NAME = 'main'

export async function startSentinel(primary: {
  readonly port: number
  readonly password: string
}): Promise<TestSentinel> {
  const dir = await mkdtemp(join(tmpdir(), 'tollgate-sentinel-'))
  const port = await freePort()
  const file = join(dir, 'sentinel.conf')
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${dir}`,
    `sentinel monitor ${NAME} 127.0.0.1 ${primary.port} 1`,
    `sentinel auth-pass ${NAME} ${primary.password}`,
    `sentinel down-after-milliseconds ${NAME} 500`,
    `sentinel failover-timeout ${NAME} 3000`,
  ]
  await writeFile(file, `${lines.join('\n')}\n`)
  const { [Symbol.asyncDispose]: dispose } = await launch(dir, [file, '--sentinel'], `+monitor master ${NAME}`)
  return { endpoint: { host: '127.0.0.1', port }, name: NAME, [Symbol.asyncDispose]: dispose }
}
