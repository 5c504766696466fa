import { connect, createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { startCommand } from './child.ts'
import type { Child } from './child.ts'

/** A real Redis of the bench's own, which keeps nothing on disk. */
export async function startRedis(folder: string): Promise<Child & { readonly url: string }> {
  const port = await freePort()
  const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]
  const child = startCommand('redis-server', options, { log: join(folder, 'redis.log') })
  await child.until(() => answers(port))
  return { ...child, url: `redis://127.0.0.1:${port}` }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || address === null) throw new Error('no free port')
  return address.port
}

async function answers(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
