/** Real sockets: what arrives at a server, and what never does. */
import type { LookupAddress } from 'node:dns'
import { createServer as createPlainServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { setImmediate } from 'node:timers/promises'
import { request } from 'undici'
import type { Agent } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'
import type { DestinationRules } from '../../../src/adapters/destinations/destination.ts'
import { createGuardedDispatcher } from '../../../src/adapters/destinations/dispatcher.ts'
import { createDocumentFetcher } from '../../../src/adapters/destinations/document.ts'
import type { Resolve } from '../../../src/adapters/destinations/guard.ts'
import { selfSigned } from './self-signed.ts'

const open: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

let connections = 0

async function listen(server: Server): Promise<number> {
  connections = 0
  server.on('connection', () => (connections += 1))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

const hello: RequestListener = (_, response) => response.end('hello')
const plain = (listener: RequestListener = hello) => listen(createPlainServer(listener))

interface Guard extends Partial<DestinationRules> {
  readonly resolve?: Resolve
  readonly certificateAuthorities?: string
}

function guarded({ allow, allowPrivate = ['127.0.0.0/8', '::1'], ...more }: Guard = {}): Agent {
  const dispatcher = createGuardedDispatcher({ rules: () => ({ allow, allowPrivate }), ...more })
  open.push(() => dispatcher.destroy())
  return dispatcher
}

async function get(url: string, dispatcher: Agent): Promise<string> {
  const { statusCode, body } = await request(url, { dispatcher })
  return `${statusCode} ${await body.text()}`
}

/** A name server that gives each name these addresses, one list a question. */
function answers(...lists: readonly (readonly string[])[]): Resolve & { asked: number } {
  const resolve = (_: string, callback: (error: Error | null, addresses: readonly LookupAddress[]) => void) => {
    const list = lists[Math.min(resolve.asked, lists.length - 1)] ?? []
    resolve.asked += 1
    const found = list.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    globalThis.setImmediate(() => callback(null, found))
  }
  resolve.asked = 0
  return resolve
}

describe('http', () => {
  it('reaches loopback that is allowed, by address and by name', async () => {
    const port = await plain()
    for (const host of ['127.0.0.1', 'localhost']) {
      expect(await get(`http://${host}:${port}/`, guarded({ allow: [host] }))).toBe('200 hello')
    }
  })

  it('a literal address goes through no resolver and is refused all the same', async () => {
    const port = await plain()
    const resolve = answers(['127.0.0.1'])
    await expect(get(`http://127.0.0.1:${port}/`, guarded({ allowPrivate: [], resolve }))).rejects.toMatchObject({
      code: 'DESTINATION_REFUSED',
    })
    expect(resolve.asked).toBe(0)
    expect(connections).toBe(0)
  })

  it('localhost that a hosts file points elsewhere is not reached without TLS', async () => {
    const resolve = answers(['10.0.0.1'])
    const dispatcher = guarded({ allowPrivate: ['127.0.0.0/8', '10.0.0.0/8'], resolve })
    await expect(get('http://localhost:9/', dispatcher)).rejects.toThrow(
      /not a loopback address, and http: is for loopback/,
    )
  })

  it('localhost needs only one of its two addresses to be covered', async () => {
    const port = await plain()
    const resolve = answers(['::1', '127.0.0.1'])
    expect(await get(`http://localhost:${port}/`, guarded({ allowPrivate: ['127.0.0.1'], resolve }))).toBe('200 hello')
  })
})

describe('https', () => {
  const { key, cert } = selfSigned('provider.example', 'localhost', '127.0.0.1')
  const trusting = { certificateAuthorities: cert }
  const secure = (listener: RequestListener = hello) => listen(createTlsServer({ key, cert }, listener))

  it('reaches an allowed name at an address that is allowed, and checks its certificate', async () => {
    const port = await secure()
    const resolve = answers(['127.0.0.1'])
    const url = `https://provider.example:${port}/`
    expect(await get(url, guarded({ ...trusting, allow: ['provider.example'], resolve }))).toBe('200 hello')
    await expect(get(url, guarded({ resolve }))).rejects.toThrow(/self-signed/)
    await expect(get(`https://other.example:${port}/`, guarded({ ...trusting, resolve }))).rejects.toThrow(/altnames/)
  })

  it('a trailing dot names the same host, and its certificate fits', async () => {
    const port = await secure()
    const dispatcher = guarded({ ...trusting, allow: ['provider.example'], resolve: answers(['127.0.0.1']) })
    expect(await get(`https://provider.example.:${port}/`, dispatcher)).toBe('200 hello')
  })

  it('a name that is not allowed is not even resolved', async () => {
    const resolve = answers(['127.0.0.1'])
    await expect(get('https://evil.example/', guarded({ allow: ['provider.example'], resolve }))).rejects.toThrow(
      /evil\.example is not in destinations\.allow/,
    )
    expect(resolve.asked).toBe(0)
  })

  it('a name with one forbidden address among good ones is refused, wherever it stands', async () => {
    const port = await secure()
    for (const list of [
      ['169.254.169.254', '127.0.0.1'],
      ['127.0.0.1', '10.0.0.1'],
      ['127.0.0.1', '::ffff:10.0.0.1'],
    ]) {
      const dispatcher = guarded({ ...trusting, resolve: answers(list) })
      await expect(get(`https://provider.example:${port}/`, dispatcher)).rejects.toThrow(
        /provider\.example: .* address/,
      )
    }
    expect(connections).toBe(0)
  })

  it('a name without an address, and one that cannot be resolved, are refused', async () => {
    await expect(get('https://provider.example/', guarded({ resolve: answers([]) }))).rejects.toThrow(/has no address/)
    const failing: Resolve = (_, callback) => callback(new Error('SERVFAIL'), [])
    await expect(get('https://provider.example/', guarded({ resolve: failing }))).rejects.toThrow(/SERVFAIL/)
  })

  it('rebinding: the address that was checked is the one that is connected to, and a new connection is checked anew', async () => {
    const port = await secure((_, response) => response.writeHead(200, { connection: 'close' }).end('hello'))
    const resolve = answers(['127.0.0.1'], ['169.254.169.254'])
    const dispatcher = guarded({ ...trusting, resolve })
    const url = `https://provider.example:${port}/`
    expect(await get(url, dispatcher)).toBe('200 hello')
    expect(resolve.asked).toBe(1)
    await expect(get(url, dispatcher)).rejects.toThrow(/metadata/)
  })

  it('a pooled connection stays where it was made', async () => {
    const port = await secure()
    const resolve = answers(['127.0.0.1'], ['169.254.169.254'])
    const dispatcher = guarded({ ...trusting, resolve })
    for (let call = 0; call < 3; call += 1) {
      expect(await get(`https://provider.example:${port}/`, dispatcher)).toBe('200 hello')
      await setImmediate()
    }
    expect(resolve.asked).toBe(1)
  })

  it('rules are asked at every connection, so a new policy counts at once', async () => {
    const port = await secure((_, response) => response.writeHead(200, { connection: 'close' }).end('hello'))
    let allow = ['provider.example']
    const resolve = answers(['127.0.0.1'])
    const rules = () => ({ allow, allowPrivate: ['127.0.0.1'] })
    const dispatcher = createGuardedDispatcher({ rules, resolve, ...trusting })
    open.push(() => dispatcher.destroy())
    expect(await get(`https://provider.example:${port}/`, dispatcher)).toBe('200 hello')
    allow = []
    await expect(get(`https://provider.example:${port}/`, dispatcher)).rejects.toThrow(/not in destinations\.allow/)
  })
})

it('the open socket is checked once more, by the rules of that moment', async () => {
  let received = 0
  const port = await plain((_, response) => {
    received += 1
    response.end('hello')
  })
  let allowPrivate = ['127.0.0.1']
  const resolve: Resolve = (_, callback) => {
    callback(null, [{ address: '127.0.0.1', family: 4 }])
    allowPrivate = []
  }
  const dispatcher = createGuardedDispatcher({ rules: () => ({ allow: undefined, allowPrivate }), resolve })
  open.push(() => dispatcher.destroy())
  await expect(get(`http://localhost:${port}/`, dispatcher)).rejects.toThrow(/allowPrivate does not cover it/)
  expect(received).toBe(0)
})

describe('what a server can do to its caller', () => {
  it('a redirect is handed back and not followed', async () => {
    const port = await plain((request, response) => {
      if (request.url === '/') response.writeHead(307, { location: '/secret' }).end()
      else response.end('secret')
    })
    expect(await get(`http://127.0.0.1:${port}/`, guarded())).toBe('307 ')
  })

  it('a proxy of the environment is not used', async () => {
    const port = await plain()
    const before = process.env['HTTP_PROXY']
    process.env['HTTP_PROXY'] = 'http://127.0.0.1:9'
    try {
      expect(await get(`http://127.0.0.1:${port}/`, guarded())).toBe('200 hello')
    } finally {
      if (before === undefined) delete process.env['HTTP_PROXY']
      else process.env['HTTP_PROXY'] = before
    }
  })
})

describe('a document', () => {
  const fetcher = () => {
    const documents = createDocumentFetcher({ allowPrivate: () => ['127.0.0.1'] })
    open.push(async () => documents[Symbol.asyncDispose]())
    return documents
  }
  const limits = { timeoutMs: 5_000, bytesMax: 1_000 }

  it('is read whole up to its bound, and not one byte beyond', async () => {
    let size = 1_000
    const port = await plain((_, response) => response.end('x'.repeat(size)))
    const documents = fetcher()
    expect(await documents.fetch(`http://127.0.0.1:${port}/`, limits)).toHaveLength(1_000)
    size = 1_001
    await expect(documents.fetch(`http://127.0.0.1:${port}/`, limits)).rejects.toThrow(/larger than 1000 bytes/)
  })

  it('that drips is given up at the deadline over all of it', async () => {
    const port = await plain((_, response) => {
      const timer = setInterval(() => response.write('x'), 5)
      response.on('close', () => clearInterval(timer))
    })
    await expect(fetcher().fetch(`http://127.0.0.1:${port}/`, { ...limits, timeoutMs: 60 })).rejects.toThrow(/timeout/)
  })

  it.each([204, 301, 302, 404, 500])('answered with %i is refused, whatever its body says', async (status) => {
    const port = await plain((_, response) => response.writeHead(status, { location: '/' }).end('{"keys":[]}'))
    await expect(fetcher().fetch(`http://127.0.0.1:${port}/`, limits)).rejects.toThrow(`answered ${status}`)
  })

  it('that is not UTF-8 is refused', async () => {
    const port = await plain((_, response) => response.end(Buffer.from([0xff, 0xfe])))
    await expect(fetcher().fetch(`http://127.0.0.1:${port}/`, limits)).rejects.toThrow(/not valid/)
  })

  it('at a forbidden URL is not asked for', async () => {
    for (const url of ['https://10.0.0.1/', 'ftp://127.0.0.1/', 'https://u:p@idp.example/', 'http://idp.example/']) {
      await expect(fetcher().fetch(url, limits)).rejects.toMatchObject({ code: 'DESTINATION_REFUSED' })
    }
  })
})
