import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts'
import { refuse } from '../../src/domain/refusal.ts'
import { fixture, parsed, refused, relay } from './fixture.ts'

const base = { model: 'm', max_tokens: 10, messages: [{ role: 'user', content: 'hi' }] }
const request = fixture('anthropic/messages-request.json')
const stream = fixture('anthropic/stream.sse')
const ask = parsed(anthropicMessages, { ...base, stream: true })

const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'A'.repeat(9_000) } }
const pdf = { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'AAAA' } }
const plain = { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'plain' } }

const withBlocks = (content: unknown[], more: object = {}) =>
  parsed(anthropicMessages, { ...base, ...more, messages: [{ role: 'user', content }] })

describe('parse', () => {
  it('reads the fields that decisions need', () => {
    const ask = parsed(anthropicMessages, request)
    expect(ask).toMatchObject({
      model: 'opus',
      stream: true,
      images: 2,
      hasTools: true,
      outputTokensMax: 128_000,
      choices: 1,
      longCacheWrites: true,
      opaque: [],
      serverTools: [{ name: 'web_search_20250305', callsMax: 5 }],
      otherModels: [],
    })
    expect(ask.textBytes).toBe(request.length - 'iVBORw0KGgoAAAANSUhEUg=='.length)
    expect(ask.texts()).toContain('Größe?')
    expect(ask.texts().join('')).not.toContain('iVBOR')
  })

  it.each([
    [{ ...base, max_tokens: undefined }, 'max_tokens'],
    [{ ...base, max_tokens: null }, 'max_tokens'],
    [{ ...base, max_tokens: 0 }, 'max_tokens'],
    [{ ...base, model: undefined }, 'model'],
    [{ ...base, messages: [] }, 'messages'],
    [{ ...base, messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].role'],
    [{ ...base, messages: [{ role: 'user' }] }, 'messages[0].content'],
    [{ ...base, messages: [{ role: 'user', content: [{}] }] }, 'messages[0].content[0].type'],
    [{ ...base, system: 5 }, 'system'],
    [{ ...base, stream: 1 }, 'stream'],
    [{ ...base, service_tier: 'gold' }, 'service_tier'],
    [{ ...base, speed: 'ludicrous' }, 'speed'],
    [{ ...base, thinking: { budget_tokens: '5' } }, 'thinking.budget_tokens'],
    [{ ...base, tools: [{ type: 5 }] }, 'tools[0].type'],
    [{ ...base, inference_geo: 5 }, 'inference_geo'],
    [{ ...base, inference_geo: 'a b' }, 'inference_geo'],
    [{ ...base, context_management: { edits: 'x' } }, 'context_management.edits'],
    [{ ...base, compaction: true }, 'compaction'],
    [{ ...base, tools: [{ type: 'web_search_20250305', max_uses: -1 }] }, 'tools[0].max_uses'],
  ])('refuses %j and names the field', (body, field) => {
    const fault = refused(anthropicMessages, body)
    expect(fault.field).toBe(field)
    expect(fault.message).toMatch(/^[^ ]+ (?:must|is) /)
  })

  it('names what it cannot see, wherever it is', () => {
    const nested = [
      { type: 'tool_result', content: [{ type: 'document', source: { type: 'base64', data: 'A'.repeat(9000) } }] },
      { type: 'container_upload', file_id: 'f' },
      { type: 'a_future_block' },
    ]
    const ask = withBlocks(nested, {
      container: 'c',
      context_management: { edits: [{ type: 'compact_20260112' }] },
    })
    expect(ask.opaque).toEqual([
      'messages[].content[].document',
      'messages[].content[].container_upload',
      'messages[].content[].a_future_block',
      'container',
      'context_management.edits',
    ])
    expect(ask.textBytes).toBeLessThan(1000)
  })

  it('sees through documents of text and through results of tools', () => {
    const seen = withBlocks([
      { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'plain' } },
      {
        type: 'document',
        source: { type: 'content', content: [{ type: 'image', source: { type: 'url', url: 'x' } }] },
      },
      { type: 'web_search_tool_result', content: [] },
      { type: 'thinking', thinking: 't', signature: 's' },
    ])
    expect(seen).toMatchObject({ opaque: [], images: 1 })
    expect(seen.texts()).toContain('plain')
  })

  it.each([
    ['a fetched document', { type: 'web_fetch_tool_result', content: { type: 'web_fetch_result', content: pdf } }],
    ['a document by its address', { type: 'web_fetch_tool_result', content: { type: 'document', url: 'https://x' } }],
    ['an image of a connector', { type: 'mcp_tool_result', content: [image] }],
    ['a document in a search result', { type: 'search_result', source: 'x', content: [pdf] }],
    ['an upload', { type: 'mcp_tool_result', content: [{ type: 'container_upload', file_id: 'f' }] }],
    ['a file of a container', { type: 'code_execution_tool_result', content: [{ type: 'x_output', file_id: 'f' }] }],
    [
      'a reference to a tool',
      { type: 'tool_search_tool_result', content: { tool_references: [{ type: 'tool_reference' }] } },
    ],
    ['a source without a kind', { type: 'text', text: 'x', source: { url: 'https://x' } }],
    ['a source beside a text', { type: 'text', text: 'x', source: { type: 'url', url: 'https://x' } }],
    ['a source beside an image', { ...image, more: pdf }],
    ['a file beside the text of a document', { type: 'document', source: { type: 'text', data: 'x', file_id: 'f' } }],
    ['a document in a document', { type: 'document', source: { type: 'content', content: 'x', more: [pdf] } }],
    ['a block of a later version', { type: 'mcp_tool_result', content: [{ type: 'video', url: 'https://x' }] }],
    ['a document beside the result of a tool', { type: 'tool_result', content: 'x', more: pdf }],
    [
      'a document beside the text of a result',
      { type: 'tool_result', content: [{ type: 'text', text: 'x', more: pdf }] },
    ],
  ])('cannot see %s', (_name, block) => {
    expect(withBlocks([block]).opaque).not.toEqual([])
    expect(parsed(anthropicMessages, { ...base, system: [block] }).opaque).not.toEqual([])
    const beside = { role: 'user', content: 'x', more: [block] }
    expect(parsed(anthropicMessages, { ...base, messages: [beside] }).opaque).not.toEqual([])
  })

  it('sees results of server tools that are text, and what a model wrote is text whatever it looks like', () => {
    const seen = withBlocks([
      { type: 'web_fetch_tool_result', content: { type: 'web_fetch_result', url: 'u', content: plain } },
      { type: 'web_search_tool_result', content: [{ type: 'web_search_result', url: 'u', encrypted_content: 'e' }] },
      { type: 'web_search_tool_result', content: { type: 'web_search_tool_result_error', error_code: 'x' } },
      { type: 'bash_code_execution_tool_result', content: { type: 'bash_code_execution_result', stdout: 'x' } },
      { type: 'mcp_tool_result', content: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }] },
      {
        type: 'search_result',
        source: 'x',
        title: 't',
        content: [{ type: 'text', text: 'x' }],
        citations: { enabled: true },
      },
      { type: 'tool_use', input: { ...image, file_id: 'f', source: { type: 'url' } }, caller: { type: 'direct' } },
      { type: 'text', text: 'x', citations: [{ type: 'char_location', file_id: 'f' }] },
    ])
    expect(seen).toMatchObject({ opaque: [], images: 0 })
  })

  it('takes the bytes of media out of the text only where the vendor reads media', () => {
    const hidden = withBlocks([{ type: 'mcp_tool_result', content: [image] }])
    expect(hidden.textBytes).toBeGreaterThan(9_000)
    expect(withBlocks([image]).textBytes).toBeLessThan(500)
  })

  it.each([
    ['Max_Tokens', { ...base, Max_Tokens: 1e6 }],
    ['STREAM', { ...base, STREAM: true }],
    ['Speed', { ...base, Speed: 'fast' }],
    ['thinking.Budget_Tokens', { ...base, thinking: { Budget_Tokens: 1e6 } }],
    ['messages[0].Content', { ...base, messages: [{ role: 'user', content: 'x', Content: [image] }] }],
    ['messages[0].content[0].Source', { ...base, messages: [{ role: 'user', content: [{ ...image, Source: {} }] }] }],
    ['tools[0].Type', { ...base, tools: [{ name: 'f', Type: 'web_search_20250305' }] }],
  ])('refuses %s, which some readers would take for what it resembles', (field, body) => {
    const fault = refused(anthropicMessages, body)
    expect(fault.field).toBe(field)
    expect(fault.message).toMatch(/is not a field: did you mean [a-z_]+\?$/)
  })

  it('says which field its maximum comes from', () => {
    expect(parsed(anthropicMessages, base)).toMatchObject({ outputTokensMax: 10, outputTokensField: 'max_tokens' })
    const thinking = { type: 'enabled', budget_tokens: 20 }
    const ask = parsed(anthropicMessages, { ...base, thinking })
    expect(ask).toMatchObject({ outputTokensMax: 20, outputTokensField: 'thinking.budget_tokens' })
  })

  it('knows that the context may be read once more for a summary, unless edits only clear', () => {
    const edits = (...types: unknown[]) =>
      withBlocks([], { context_management: { edits: types.map((type) => ({ type })) } })
    expect(edits('clear_tool_uses_20250919', 'clear_thinking_20251015')).toMatchObject({ compacts: false, opaque: [] })
    for (const type of ['compact_20260112', 'later', 5])
      expect(edits('clear_tool_uses_20250919', type).compacts).toBe(true)
    expect(withBlocks([], { compaction: { type: 'summarize' } }).compacts).toBe(true)
    expect(withBlocks([])).toMatchObject({ compacts: false, geography: undefined })
    expect(withBlocks([], { inference_geo: 'us' }).geography).toBe('us')
  })

  it('names another model for every fallback, however it is written', () => {
    expect(withBlocks([], { fallbacks: [{}, 'm', { Model: 'x' }] }).otherModels).toEqual([
      'fallbacks',
      'm',
      'fallbacks',
    ])
    expect(refused(anthropicMessages, { ...base, fallbacks: 'default' }).field).toBe('fallbacks')
  })

  it('finds long cache writes anywhere, and only those', () => {
    const block = (ttl?: string) => ({ type: 'text', text: 'x', cache_control: { type: 'ephemeral', ttl } })
    expect(withBlocks([block('1h')]).longCacheWrites).toBe(true)
    expect(withBlocks([block('5m')]).longCacheWrites).toBe(false)
    expect(withBlocks([block()]).longCacheWrites).toBe(false)
    const deep = [{ type: 'tool_result', content: [block('1h')] }]
    expect(withBlocks(deep).longCacheWrites).toBe(true)
    expect(withBlocks([], { tools: [{ name: 'f', cache_control: { ttl: '1h' } }] }).longCacheWrites).toBe(true)
  })

  it('names every model and server tool that can be billed', () => {
    const ask = withBlocks([], {
      tools: [
        { type: 'advisor_20260301', name: 'advisor', model: 'claude-opus-9' },
        { type: 'web_fetch_20250910', name: 'web_fetch' },
        { type: 'custom', name: 'mine' },
      ],
      fallbacks: [{ model: 'claude-haiku-9' }],
      mcp_servers: [{ url: 'https://x' }],
    })
    expect(ask.otherModels).toEqual(['claude-opus-9', 'claude-haiku-9'])
    expect(ask.serverTools.map(({ name }) => name)).toEqual(['advisor_20260301', 'web_fetch_20250910', 'mcp'])
  })

  it('bounds output by the larger of maximum and thinking budget, and prices fast mode as a tier', () => {
    const ask = withBlocks([], { thinking: { type: 'enabled', budget_tokens: 5000 }, speed: 'fast' })
    expect(ask).toMatchObject({ outputTokensMax: 5000, serviceTier: 'fast' })
  })

  it('never throws, whatever the value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (messages, system, tools) => {
        expect(
          anthropicMessages.parse(Buffer.from(JSON.stringify({ ...base, messages, system, tools, fallbacks: tools })))
            .kind,
        ).toMatch(/parsed|invalid/)
      }),
    )
    const block = fc.record({
      type: fc.constantFrom('image', 'document', 'tool_result', 'text'),
      source: fc.oneof(
        fc.jsonValue(),
        fc.record({
          type: fc.constantFrom('base64', 'content', 'text'),
          data: fc.jsonValue(),
          content: fc.jsonValue(),
        }),
      ),
      content: fc.jsonValue(),
    })
    fc.assert(
      fc.property(fc.array(block), (content) => {
        expect(
          anthropicMessages.parse(Buffer.from(JSON.stringify({ ...base, messages: [{ role: 'user', content }] }))).kind,
        ).toMatch(/parsed|invalid/)
      }),
    )
  })
})

describe('forward', () => {
  it('changes nothing but the model', () => {
    const ask = parsed(anthropicMessages, request)
    const wanted = { model: 'claude-opus-9', outputTokensMax: undefined, includeUsage: true }
    const expected = request.toString().replace('"model" : "opus"', '"model" : "claude-opus-9"')
    expect(Buffer.from(anthropicMessages.forward(ask, wanted)).toString()).toBe(expected)
    expect(anthropicMessages.forward(ask, { ...wanted, model: 'opus' })).toBe(ask.body)
  })
})

describe('stream', () => {
  const usage = {
    quantities: {
      input: 10_682,
      cache_read: 5000,
      cache_write_5m: 200,
      cache_write_1h: 100,
      output: 510,
      web_search: 2,
    },
    inputTokens: 15_982,
    outputTokens: 510,
    model: 'claude-9-20260101',
    tier: 'standard',
    geography: 'us',
    consistent: true,
  }

  it('passes on every byte and merges usage field by field', () => {
    const out = relay(anthropicMessages, ask, stream, [])
    expect(out.bytes).toBe(stream.toString())
    expect(out.summary).toEqual({ usage, complete: true, failed: false, outputEvents: 4 })
    expect(out.texts).toEqual(['Hmm… Größe: "5" 😀get_weather{"city":'])
    expect(anthropicMessages.streamReader(ask).push(stream)).toBe(stream)
  })

  it('gives the same bytes, usage and texts however the stream is cut', () => {
    const whole = relay(anthropicMessages, ask, stream, [])
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length)), (cuts) => {
        const out = relay(anthropicMessages, ask, stream, cuts)
        expect({ ...out, pieces: [] }).toEqual({ ...whole, pieces: [] })
        for (const piece of out.pieces) expect(piece === '' || /\n\r?\n$/.test(piece)).toBe(true)
      }),
    )
  })

  it('keeps the usage of the start when the end never comes', () => {
    const out = relay(anthropicMessages, ask, stream.subarray(0, stream.indexOf('event: message_delta')), [])
    expect(out.summary).toMatchObject({ complete: false, usage: { inputTokens: 7979, outputTokens: 3 } })
  })

  it('knows an error frame, and frames that lack their name', () => {
    const error = 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n'
    expect(relay(anthropicMessages, ask, Buffer.from(error), []).summary.failed).toBe(true)
    const nameless = stream.toString().replaceAll(/^event: .*\r?\n/gm, '')
    expect(relay(anthropicMessages, ask, Buffer.from(nameless), []).summary).toMatchObject({ usage, complete: true })
  })
})

describe('usage', () => {
  const usageOf = (usage: object) => anthropicMessages.usageOf(Buffer.from(JSON.stringify({ model: 'm', usage })))
  const tokens = { input_tokens: 10, output_tokens: 20 }

  it('adds the input classes, which are apart', () => {
    const usage = usageOf({
      ...tokens,
      cache_creation_input_tokens: 5,
      cache_read_input_tokens: 7,
      cache_creation: { ephemeral_5m_input_tokens: 5, ephemeral_1h_input_tokens: 0 },
    })
    expect(usage).toMatchObject({ inputTokens: 22, outputTokens: 20, consistent: true })
  })

  it('charges cache writes of unknown lifetime as long ones, and flags them', () => {
    const usage = usageOf({ ...tokens, cache_creation_input_tokens: 5 })
    expect(usage).toMatchObject({ quantities: { cache_write_1h: 5 }, consistent: false })
  })

  it('adds what a compaction used, which the totals leave out', () => {
    const iterations = [
      { type: 'compaction', input_tokens: 1000, output_tokens: 100 },
      { type: 'message', ...tokens },
    ]
    expect(usageOf({ ...tokens, iterations })).toMatchObject({ inputTokens: 1010, outputTokens: 120, consistent: true })
  })

  it('adds what an advisor used, and flags it when it is another model', () => {
    const advice = (model: string) => ({ type: 'advisor_message', model, input_tokens: 50, output_tokens: 5 })
    expect(usageOf({ ...tokens, iterations: [advice('m')] })).toMatchObject({ inputTokens: 60, consistent: true })
    expect(usageOf({ ...tokens, iterations: [advice('other')] })).toMatchObject({ inputTokens: 60, consistent: false })
  })

  it('takes the larger reading when the iterations do not add up to the totals', () => {
    const iterations = [{ type: 'message', input_tokens: 30, output_tokens: 1 }]
    expect(usageOf({ ...tokens, iterations })).toMatchObject({ inputTokens: 30, outputTokens: 20, consistent: false })
  })

  it('leaves the attempt before a fallback out: the totals are those of the served answer', () => {
    const iterations = [
      { type: 'message', input_tokens: 99, output_tokens: 0 },
      { type: 'fallback_message', model: 'other', ...tokens },
    ]
    expect(usageOf({ ...tokens, iterations })).toMatchObject({ inputTokens: 10, outputTokens: 20, consistent: true })
  })

  it('takes the tier from the speed', () => {
    expect(usageOf({ ...tokens, service_tier: 'standard', speed: 'fast' })?.tier).toBe('fast')
    expect(usageOf({ output_tokens: 5 })).toBeUndefined()
  })
})

describe('refusals', () => {
  const context = { requestId: 'r-1', receipt: undefined, retryCount: 0, isClaudeCode: true }

  it('say that a budget is gone with the error code that gives SDKs their class', () => {
    const answer = anthropicMessages.renderRefusal(refuse('budget_exhausted', 'Team research is at $25.'), context)
    expect(answer.status).toBe(429)
    expect(answer.headers['x-should-retry']).toBe('false')
    expect(answer.headers).not.toHaveProperty('retry-after')
    expect(JSON.parse(answer.body)).toEqual({
      type: 'error',
      error: {
        type: 'billing_error',
        message: 'spend limit reached: Team research is at $25.',
        details: { error_code: 'enforced_spend_limit_reached' },
        decision_id: 'r-1',
      },
      request_id: 'r-1',
    })
  })

  it('as a frame are named, because clients drop frames that are not', () => {
    const frame = anthropicMessages.errorFrame(refuse('upstream_unavailable', 'broken'), 'r-1')
    expect(frame).toMatch(/^\n\nevent: error\ndata: \{"type":"error",.*"message":"broken".*\}\n\n$/)
  })
})
