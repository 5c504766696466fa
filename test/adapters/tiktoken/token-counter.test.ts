import { performance } from 'node:perf_hooks'
import { get_encoding } from 'tiktoken'
import { afterAll, describe, expect, test } from 'vitest'
import { createTokenCounter } from '../../../src/adapters/tiktoken/token-counter.ts'

const counter = createTokenCounter({ timeoutMs: 60_000 })
afterAll(() => counter[Symbol.asyncDispose]())

const SAMPLES = [
  'hello world',
  'Grüße, 世界! 👋🏽',
  'x <|endoftext|> y',
  '<|im_start|>',
  '\ud800',
  ' ',
  '\n\n',
  'a'.repeat(500),
]

describe('the token counter', () => {
  test.each(['o200k_base', 'cl100k_base'] as const)('counts what the library counts in %s', async (encoding) => {
    const encoder = get_encoding(encoding)
    const real = SAMPLES.map((text) => encoder.encode_ordinary(text).length)
    encoder.free()
    for (const [i, text] of SAMPLES.entries()) expect(await counter.count([text], encoding)).toBe(real[i])
    expect(await counter.count(SAMPLES, encoding)).toBe(real.reduce((sum, count) => sum + count, 0))
  })

  test('counts a special-token string as the plain text it is', async () => {
    expect(await counter.count(['<|endoftext|>'], 'o200k_base')).toBeGreaterThan(1)
  })

  test('counts nothing as nothing, without starting a worker', async () => {
    await using fresh = createTokenCounter({ timeoutMs: 1 })
    expect(await fresh.count([], 'o200k_base')).toBe(0)
    expect(await fresh.count(['', ''], 'o200k_base')).toBe(0)
  })

  test('answers the same again, from memory', async () => {
    const text = `once ${'and again '.repeat(20_000)}`
    const first = await counter.count([text], 'o200k_base')
    expect(await counter.count([text], 'o200k_base')).toBe(first)
  })

  test.each([
    ['one letter', 'a'],
    ['spaces', ' '],
    ['newlines', '\n'],
    ['Chinese without punctuation', '的一是不了人我在有他这'],
    ['emoji', '😀'],
  ])('200 KB of %s are counted soon, and the event loop stays free', async (_, unit) => {
    const text = unit.repeat(Math.ceil(200_000 / Buffer.byteLength(unit)))
    const { worstMs, ms, count } = await watched(() => counter.count([text], 'o200k_base'))
    expect(count).toBeGreaterThan(0)
    // Whole, this takes 9 to 50 s; the bounds leave room for a busy machine.
    expect(ms).toBeLessThan(8_000)
    expect(worstMs).toBeLessThan(2_000)
  })

  test('a text over the cap is not counted', async () => {
    await using small = createTokenCounter({ textMax: 10 })
    expect(await small.count(['12345', '678901'], 'o200k_base')).toBeUndefined()
    expect(await small.count(['12345', '67890'], 'o200k_base')).toBeGreaterThan(0)
  })

  test('a full queue answers at once that it cannot', async () => {
    await using busy = createTokenCounter({ queueMax: 2 })
    const waiting = [1, 2].map((i) => busy.count([`text ${String(i)}`], 'o200k_base'))
    expect(await busy.count(['one too many'], 'o200k_base')).toBeUndefined()
    expect(await Promise.all(waiting)).toEqual([3, 3])
    expect(await busy.count(['room again'], 'o200k_base')).toBe(2)
  })

  test('a late answer is not waited for', async () => {
    await using late = createTokenCounter({ timeoutMs: 1 })
    expect(await late.count(['的'.repeat(100_000)], 'o200k_base')).toBeUndefined()
  })

  test('a counter that is closed answers that it cannot, also to those who wait', async () => {
    const closing = createTokenCounter({ timeoutMs: 600_000 })
    const waiting = closing.count(['some text'], 'o200k_base')
    await closing[Symbol.asyncDispose]()
    expect(await waiting).toBeUndefined()
    expect(await closing.count(['more text'], 'o200k_base')).toBeUndefined()
  })

  test('several workers share the questions', async () => {
    await using two = createTokenCounter({ workers: 2, queueMax: 1 })
    const counts = await Promise.all([two.count(['hello'], 'o200k_base'), two.count(['hello'], 'o200k_base')])
    expect(counts).toEqual([1, 1])
  })
})

/** Runs the work and says how long this thread was ever kept from its timers. */
async function watched(work: () => Promise<number | undefined>) {
  let last = performance.now()
  let worstMs = 0
  const beat = setInterval(() => {
    const now = performance.now()
    worstMs = Math.max(worstMs, now - last)
    last = now
  }, 5)
  const start = performance.now()
  try {
    const count = await work()
    return { count, worstMs, ms: performance.now() - start }
  } finally {
    clearInterval(beat)
  }
}
