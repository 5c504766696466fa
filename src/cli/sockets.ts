import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { Gateway } from '../compose.ts'
import type { Config } from '../config/config.ts'

/** The listening sockets of a gateway; disposing of them cuts what is still connected. */
export interface Sockets extends AsyncDisposable {
  readonly url: string
  readonly adminUrl: string
  /** Takes no more connections; resolves when the last one has ended. */
  close(): Promise<void>
  /** Cuts every connection that is left. */
  cut(): void
}

/** Connections are kept longer than the usual 60 s of load balancers, which would otherwise reuse a closing one. */
const SERVER_OPTIONS = { keepAliveTimeout: 75_000, requestTimeout: 300_000, noDelay: true }

/** Listens for callers and, on a port of their own when they have one, for operators. */
export async function openSockets(gateway: Gateway, config: Config): Promise<Sockets> {
  const { host, port, adminPort } = config.listen
  const server = createServer(SERVER_OPTIONS, gateway.app)
  const url = await listen(server, host, port)
  const servers = [server]
  let adminUrl = url
  if (adminPort !== undefined) {
    const admin = createServer(SERVER_OPTIONS, gateway.adminApp)
    servers.push(admin)
    adminUrl = await listen(admin, host, adminPort).catch((error: unknown) => {
      server.close()
      throw error
    })
  }
  const close = async () => void (await Promise.all(servers.map(closeServer)))
  const cut = () => {
    for (const each of servers) each.closeAllConnections()
  }
  return {
    url,
    adminUrl,
    close,
    cut,
    [Symbol.asyncDispose]() {
      cut()
      return close()
    },
  }
}

async function listen(server: Server, host: string, port: number): Promise<string> {
  server.listen(port, host)
  await once(server, 'listening')
  const address = server.address()
  const chosen = typeof address === 'object' && address !== null ? address.port : port
  return `http://${host.includes(':') ? `[${host}]` : host}:${chosen}`
}

/**
 * How often connections that have become idle are closed while a server closes. Node closes those that are idle at that
 * moment; one whose stream ends later was promised to be kept alive, and would hold up the end of the process.
 */
const IDLE_SWEEP_MS = 100

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS)
    server.close(() => {
      clearInterval(sweep)
      resolve()
    })
  })
}
