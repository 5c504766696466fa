import { once } from 'node:events'
import { createServer } from 'node:http'
import { expect, it } from 'vitest'
import { frontDoor } from '../../src/http/front-door.ts'
import type { HotRoute } from '../../src/http/front-door.ts'

async function open(hot: Readonly<Record<string, HotRoute>>) {
  const door = frontDoor({
    hot: new Map(Object.entries(hot)),
    prepare: (response) => void response.setHeader('x-prepared', 'yes'),
    rest: (request, response) => void response.end(`rest ${request.method} ${request.url}`),
  })
  const server = createServer(door).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

const answer: HotRoute = async (request, response) => void response.end(`hot ${request.url}`)

it('a call to the exact path of a hot route goes there, prepared like every other answer', async () => {
  await using server = await open({ '/v1/messages': answer })
  const response = await fetch(`${server.url}/v1/messages`, { method: 'POST', body: '{}' })
  expect(response.headers.get('x-prepared')).toBe('yes')
  expect(await response.text()).toBe('hot /v1/messages')
})

it.each([
  ['another method', 'GET', '/v1/messages'],
  ['a query', 'POST', '/v1/messages?beta=true'],
  ['another spelling', 'POST', '/v1/messages/'],
  ['the name of a member that every object has', 'POST', '/constructor'],
])('%s is left to the router, which says what it means', async (_, method, path) => {
  await using server = await open({ '/v1/messages': answer })
  const response = await fetch(server.url + path, { method })
  expect(response.headers.get('x-prepared')).toBeNull()
  expect(await response.text()).toBe(`rest ${method} ${path}`)
})

it('a route that fails ends its connection and not the process', async () => {
  await using server = await open({ '/fails': () => Promise.reject(new Error('no')), '/works': answer })
  await expect(fetch(`${server.url}/fails`, { method: 'POST' })).rejects.toThrow('fetch failed')
  expect(await (await fetch(`${server.url}/works`, { method: 'POST' })).text()).toBe('hot /works')
})
