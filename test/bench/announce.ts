import type { Server } from 'node:http'

/** Tells the bench where a server of it listens, and ends with it, however it ends. */
export function announce(server: Server): void {
  process.once('disconnect', () => process.exit())
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port')
  process.send?.({ url: `http://127.0.0.1:${address.port}` })
}
