/**
 * An address behind which a test puts one server and then another, as a failover does.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'

export interface SwitchProxy extends AsyncDisposable {
  readonly port: number
  /** Breaks all connections; new ones lead to this port. */
  switchTo(port: number): void
}

export async function startSwitchProxy(firstPort: number): Promise<SwitchProxy> {
  let target = firstPort
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far).pipe(near)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was bound')
  const breakAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: address.port,
    switchTo(port) {
      target = port
      breakAll()
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      breakAll()
      await closed
    },
  }
}
