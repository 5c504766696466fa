import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { openaiChat } from '../../src/dialects/openai-chat.ts'
import { fixture, parsed, refused } from './fixture.ts'

const base = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }
const request = fixture('openai/chat-request.json')

describe('parse', () => {
  it('reads the fields that decisions need', () => {
    const ask = parsed(openaiChat, request)
    expect(ask).toMatchObject({
      model: 'fast',
      stream: true,
      images: 2,
      hasTools: true,
      outputTokensMax: undefined,
      choices: 1,
      wantsStreamUsage: false,
      opaque: [],
      serverTools: [],
    })
    const payload = /base64,([^"]*)/.exec(request.toString())?.[1] ?? ''
    expect(payload.length).toBeGreaterThan(50)
    expect(ask.textBytes).toBe(request.length - payload.length)
  })

  it.each([
    [{ messages: base.messages }, 'model'],
    [{ ...base, model: '' }, 'model'],
    [{ ...base, model: 7 }, 'model'],
    [{ ...base, model: 'a\nb' }, 'model'],
    [{ model: 'm' }, 'messages'],
    [{ ...base, messages: [] }, 'messages'],
    [{ ...base, messages: 'hi' }, 'messages'],
    [{ ...base, messages: ['hi'] }, 'messages[0]'],
    [{ ...base, messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role'],
    [{ ...base, messages: [{ role: 'user', content: 5 }] }, 'messages[0].content'],
    [{ ...base, messages: [{ role: 'user', content: [{ text: 'x' }] }] }, 'messages[0].content[0].type'],
    [{ ...base, stream: 'true' }, 'stream'],
    [{ ...base, stream_options: true }, 'stream_options'],
    [{ ...base, stream_options: { include_usage: 1 } }, 'stream_options.include_usage'],
    [{ ...base, n: 0 }, 'n'],
    [{ ...base, n: 1000 }, 'n'],
    [{ ...base, n: 1.5 }, 'n'],
    [{ ...base, max_tokens: 0 }, 'max_tokens'],
    [{ ...base, max_tokens: '5' }, 'max_tokens'],
    [{ ...base, max_completion_tokens: 1e17 }, 'max_completion_tokens'],
    [{ ...base, service_tier: 'gold' }, 'service_tier'],
    [{ ...base, tools: {} }, 'tools'],
    [{ ...base, tools: [{}] }, 'tools[0].type'],
    [{ ...base, response_format: 'json' }, 'response_format'],
    [{ ...base, modalities: ['text', 'audio'] }, 'modalities'],
    [{ ...base, modalities: 'audio' }, 'modalities'],
    [{ ...base, audio: { voice: 'alloy', format: 'wav' } }, 'audio'],
    [{ ...base, prediction: 'x' }, 'prediction'],
    [{ ...base, moderation: { model: 'gpt-9' } }, 'moderation.model'],
    [{ ...base, prompt_cache_options: { ttl: '12h' } }, 'prompt_cache_options.ttl'],
    [
      {
        ...base,
        messages: [{ role: 'user', content: [{ type: 'text', text: 'x', prompt_cache_breakpoint: { ttl: '12h' } }] }],
      },
      'prompt_cache_breakpoint.ttl',
    ],
  ])('refuses %j and names the field', (body, field) => {
    const fault = refused(openaiChat, body)
    expect(fault.field).toBe(field)
    expect(fault.message).toMatch(/^[^ ]+ (?:must|is) /)
  })

  it.each([
    ['', /empty/],
    ['[]', /object/],
    ['null', /object/],
    ['{"model":', /not valid JSON/],
    ['{"model":"m","model":"n","messages":[{"role":"user","content":"x"}]}', /model is given twice/],
    ['{"model":"m","mod\\u0065l":"n","messages":[]}', /model is given twice/],
    ['{"model":"m","messages":[{"role":"user","content":"x","content":"y"}]}', /names a member twice/],
    [`{"model":"m","messages":${'['.repeat(200)}${']'.repeat(200)}}`, /deeper than 128/],
  ])('refuses the body %s', (body, message) => {
    expect(refused(openaiChat, body).message).toMatch(message)
  })

  it('refuses a body of too many values before it is parsed', () => {
    const body = `{"model":"m","messages":[{"role":"user","content":"x"}],"x":[${'{},'.repeat(1_000_000)}1]}`
    expect(refused(openaiChat, body).message).toMatch(/more than 200000 values/)
  })

  it('refuses invalid UTF-8', () => {
    const body = Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')])
    expect(refused(openaiChat, body).message).toMatch(/UTF-8/)
  })

  it('never repeats content in a message', () => {
    const bodies = [
      '{"model":"secret-word',
      '{"secret word":1,"secret word":2}',
      '{"model":"m","messages":["secret-word"]}',
    ]
    for (const body of bodies) expect(refused(openaiChat, body).message).not.toContain('secret')
  })

  it('takes null as absent, and every maximum that a model could give', () => {
    const nulls = { n: null, max_tokens: null, stream: null, stream_options: null, tools: null, service_tier: null }
    expect(parsed(openaiChat, { ...base, ...nulls })).toMatchObject({ choices: 1, stream: false })
    expect(parsed(openaiChat, { ...base, max_tokens: 1e7 }).outputTokensMax).toBe(1e7)
    expect(refused(openaiChat, JSON.stringify({ ...base, max_tokens: 1e12 })).field).toBe('max_tokens')
    const both = parsed(openaiChat, { ...base, max_tokens: 5, max_completion_tokens: 9 })
    expect(both.outputTokensMax).toBe(9)
  })

  it('names what it cannot see, and bounds the audio it can', () => {
    const parts = [
      { type: 'file', file: { file_id: 'file-1' } },
      { type: 'video_url', video_url: { url: 'https://x' } },
      { type: 'input_audio', input_audio: { data: 'A'.repeat(40_000), format: 'wav' } },
    ]
    const ask = parsed(openaiChat, {
      ...base,
      messages: [{ role: 'user', content: parts }],
      previous_response_id: 'r',
      web_search_options: {},
      tools: [{ type: 'custom', custom: {} }, { type: 'code_interpreter' }],
    })
    expect(ask.opaque).toEqual(['messages[].content[].file', 'messages[].content[].video_url', 'previous_response_id'])
    expect(ask.mediaTokensMax).toBe(30 * 32)
    expect(ask.serverTools.map(({ name }) => name)).toEqual(['code_interpreter', 'web_search'])
    expect(ask.textBytes).toBeLessThan(1000)
  })

  it.each([
    ['beside a text', { type: 'text', text: 'x', image_url: { url: 'https://x' } }],
    ['beside an image', { type: 'image_url', image_url: { url: 'https://x' }, file: { file_id: 'f' } }],
    ['in a part of a later version', { type: 'video', video: 'x' }],
    ['in audio without its data', { type: 'input_audio', input_audio: { url: 'https://x' } }],
    ['in a file by its address', { type: 'file', file: { file_url: 'https://x' } }],
  ])('cannot see what stands %s', (_name, part) => {
    expect(parsed(openaiChat, { ...base, messages: [{ role: 'user', content: [part] }] }).opaque).toHaveLength(1)
    const beside = { role: 'user', content: 'x', attachments: [part] }
    expect(parsed(openaiChat, { ...base, messages: [beside] }).opaque).toEqual(['messages[].attachments'])
  })

  it('sees what clients send back of an answer', () => {
    const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }
    const message = {
      role: 'assistant',
      content: null,
      tool_calls: [call],
      annotations: [{}],
      refusal: null,
      audio: null,
    }
    const cached = {
      type: 'text',
      text: 'x',
      cache_control: { type: 'ephemeral' },
      prompt_cache_breakpoint: { ttl: '30m' },
    }
    const ask = parsed(openaiChat, { ...base, messages: [message, { role: 'user', content: [cached] }] })
    expect(ask).toMatchObject({ opaque: [], longCacheWrites: false })
  })

  it.each([
    ['Max_Tokens', { ...base, Max_Tokens: 1e6 }],
    ['N', { ...base, N: 100 }],
    ['Stream', { ...base, Stream: true }],
    ['max_tokens', { ...base, ['max_to\u212Aens']: 1e6 }],
    ['service_tier', { ...base, ['\u017Fervice_tier']: 'priority' }],
    ['stream_options.Include_Usage', { ...base, stream_options: { Include_Usage: true } }],
    ['messages[0].Content', { ...base, messages: [{ role: 'user', content: 'x', Content: [] }] }],
    ['messages[0].content[0].Text', { ...base, messages: [{ role: 'user', content: [{ type: 'text', Text: 'x' }] }] }],
    ['tools[0].TYPE', { ...base, tools: [{ type: 'function', TYPE: 'web_search' }] }],
  ])('refuses %s, which some readers would take for what it resembles', (field, body) => {
    const fault = refused(openaiChat, body)
    expect(fault.field).toBe(field)
    expect(fault.message).toMatch(/is not a field: did you mean [a-z_]+\?$/)
  })

  it('leaves names of the caller alone, wherever they are its own', () => {
    const parameters = { type: 'object', properties: { Content: { Type: 'x' }, N: {} } }
    const tools = [{ type: 'function', function: { name: 'F', parameters } }]
    expect(parsed(openaiChat, { ...base, tools, metadata: { Model: 'x' }, Custom: 1 }).hasTools).toBe(true)
  })

  it('bounds the text of a prediction, and says which field its maximum comes from', () => {
    const prediction = { type: 'content', content: 'é'.repeat(100) }
    expect(parsed(openaiChat, { ...base, prediction }).predictedBytes).toBeGreaterThanOrEqual(200)
    expect(parsed(openaiChat, base).predictedBytes).toBeUndefined()
    const field = (more: object) => parsed(openaiChat, { ...base, ...more }).outputTokensField
    expect(field({ max_tokens: 5 })).toBe('max_tokens')
    expect(field({ max_tokens: 5, max_completion_tokens: 9 })).toBe('max_completion_tokens')
    expect(field({ max_tokens: 9, max_completion_tokens: 5 })).toBe('max_tokens')
    expect(
      parsed(openaiChat, { ...base, modalities: ['text'], moderation: { model: 'omni-moderation-latest' } }),
    ).toBeDefined()
  })

  it('takes only payloads of media out of the text', () => {
    const uri = `data:image/png;base64,${'A'.repeat(5000)}`
    const asText = parsed(openaiChat, { ...base, messages: [{ role: 'user', content: [{ type: 'text', text: uri }] }] })
    expect(asText.textBytes).toBeGreaterThan(5000)
    expect(asText.texts()).toContain(uri)
    const image = { type: 'image_url', image_url: { url: uri } }
    const asImage = parsed(openaiChat, { ...base, messages: [{ role: 'user', content: [image] }] })
    expect(asImage.textBytes).toBeLessThan(200)
    expect(asImage.texts().join('')).not.toContain('AAAA')
  })

  it('counts text by its NFC bytes when normalising makes it longer', () => {
    const text = '\u0344'.repeat(100)
    const ask = parsed(openaiChat, { ...base, messages: [{ role: 'user', content: text }] })
    expect(ask.textBytes).toBeGreaterThanOrEqual(Buffer.byteLength(text.normalize('NFC')))
    const long = parsed(openaiChat, { ...base, messages: [{ role: 'user', content: '\u0958'.repeat(500_000) }] })
    expect(long.textBytes).toBeGreaterThanOrEqual(Buffer.byteLength('\u0958'.normalize('NFC')) * 500_000)
  })

  it('shows every string of the request to the exact count', () => {
    const text = fc.string({ minLength: 1, unit: 'binary' })
    fc.assert(
      fc.property(text, text, text, (content, name, description) => {
        const ask = parsed(openaiChat, {
          ...base,
          messages: [{ role: 'user', content, name }],
          tools: [
            { type: 'function', function: { name: 'f', description, parameters: { [name]: { type: 'object' } } } },
          ],
        })
        // Unpaired surrogates become replacement characters in UTF-8, in the request as in the count.
        const sent = JSON.parse(Buffer.from(ask.body).toString())
        expect(ask.texts()).toContain(sent.messages[0].content)
        expect(ask.texts()).toContain(sent.tools[0].function.description)
      }),
    )
  })

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(openaiChat.parse(bytes).kind).toMatch(/parsed|invalid/)
      }),
    )
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (messages, tools, rest) => {
        expect(
          openaiChat.parse(Buffer.from(JSON.stringify({ model: 'm', messages, tools, stream_options: rest, n: rest })))
            .kind,
        ).toMatch(/parsed|invalid/)
      }),
    )
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            type: fc.constantFrom('image_url', 'input_audio', 'file', 'text'),
            image_url: fc.jsonValue(),
            input_audio: fc.jsonValue(),
            file: fc.jsonValue(),
          }),
        ),
        (content) => {
          expect(
            openaiChat.parse(Buffer.from(JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] }))).kind,
          ).toMatch(/parsed|invalid/)
        },
      ),
    )
  })
})

describe('forward', () => {
  it.each([
    ['none', {}, { max_completion_tokens: 300 }],
    ['the newer name', { max_completion_tokens: 900 }, { max_completion_tokens: 300 }],
    ['the older name', { max_tokens: 900 }, { max_tokens: 300 }],
    ['a power of ten', { max_tokens: 1e6 }, { max_tokens: 300 }],
    ['both names', { max_completion_tokens: 100, max_tokens: 900 }, { max_completion_tokens: 100, max_tokens: 300 }],
    [
      'the newer name, and null',
      { max_completion_tokens: 900, max_tokens: null },
      { max_completion_tokens: 300, max_tokens: null },
    ],
    [
      'the older name, and null',
      { max_completion_tokens: null, max_tokens: 900 },
      { max_completion_tokens: null, max_tokens: 300 },
    ],
  ])('lowers the maximum where it stands, raises none and adds no second one: %s', (_, given, sent) => {
    const {
      max_tokens: _older,
      max_completion_tokens: _newer,
      ...rest
    } = { max_tokens: 0, max_completion_tokens: 0, ...base }
    const text = forward({ ...rest, ...given }, { outputTokensMax: 300 })
    expect(JSON.parse(text)).toEqual({ ...rest, ...sent })
  })

  const forward = (body: Buffer | object | string, splice: object) => {
    const ask = parsed(openaiChat, body)
    const wanted = { model: ask.model, outputTokensMax: undefined, includeUsage: false, ...splice }
    return Buffer.from(openaiChat.forward(ask, wanted)).toString()
  }

  it("is the caller's bytes, the very same, when nothing is spliced", () => {
    const ask = parsed(openaiChat, request)
    expect(openaiChat.forward(ask, { model: 'fast', outputTokensMax: undefined, includeUsage: false })).toBe(ask.body)
  })

  it('changes nothing but its splices', () => {
    const expected = request
      .toString()
      .replace('{ "messages"', '{"max_completion_tokens":16384, "messages"')
      .replace('"model" : "fast"', '"model" : "gpt-9"')
      .replace('{ "include_obfuscation"', '{"include_usage":true, "include_obfuscation"')
    expect(forward(request, { model: 'gpt-9', outputTokensMax: 16_384, includeUsage: true })).toBe(expected)
  })

  it('replaces nulls and false in place instead of naming a member twice', () => {
    const body =
      '{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,"max_completion_tokens":null,"stream_options":null}'
    const sent = JSON.parse(forward(body, { outputTokensMax: 9, includeUsage: true }))
    expect(sent).toMatchObject({ max_completion_tokens: 9, stream_options: { include_usage: true } })
    const off = { ...base, stream: true, stream_options: { include_usage: false, include_obfuscation: false } }
    const text = forward(off, { includeUsage: true })
    expect(text.match(/include_usage/g)).toHaveLength(1)
    expect(JSON.parse(text).stream_options).toEqual({ include_usage: true, include_obfuscation: false })
  })

  it('asks for usage only in streams', () => {
    expect(forward(base, { includeUsage: true })).toBe(JSON.stringify(base))
  })

  it('gives a body that parses to the same request, for any model name and position', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.dictionary(fc.string(), fc.jsonValue()), (model, extra) => {
        const body = { ...extra, ...base, stream: true, stream_options: {} }
        const result = openaiChat.parse(Buffer.from(JSON.stringify(body)))
        if (result.kind === 'invalid') return
        const sent = JSON.parse(forward(body, { model, outputTokensMax: 3, includeUsage: true }))
        expect(sent).toEqual({
          ...JSON.parse(JSON.stringify(body)),
          model,
          max_completion_tokens: 3,
          stream_options: { include_usage: true },
        })
      }),
    )
  })
})
