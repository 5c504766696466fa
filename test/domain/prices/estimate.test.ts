import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  byteBound,
  expectedInput,
  fixedTokens,
  outputBound,
  OUTPUT_TOKENS_DEFAULT,
} from '../../../src/domain/prices/estimate.ts'
import { callsOf, unboundedTool } from '../../../src/domain/prices/server-tools.ts'
import { askOf, model, ratio } from '../price-fixtures.ts'

const free = { allowedMax: undefined, inputTokens: 100 }

describe('the input bound', () => {
  test('is the bytes times the factor, plus framing', () => {
    const ask = askOf('hello', { textBytes: 1_001 })
    expect(byteBound(ask, model())).toEqual({ tokens: 1_001 + 128, method: 'bytes' })
    const tokenizer = {
      encoding: undefined,
      certainty: 'measured',
      bytesFactor: ratio('2.25'),
      ratioO200k: ratio('1.45'),
    } as const
    expect(byteBound(ask, model({ tokenizer })).tokens).toBe(2_253 + 128)
  })

  test('counts every image at the model’s largest, other media at their own bound, and more framing for tools', () => {
    const ask = askOf('', { textBytes: 100, images: 3, mediaTokensMax: 50, hasTools: true })
    expect(byteBound(ask, model({ imageTokensMax: 1_000 })).tokens).toBe(100 + 3_000 + 50 + 1_024)
  })

  test('is never above the model’s maximum input, because the provider refuses more', () => {
    expect(byteBound(askOf('', { textBytes: 10_000_000 }), model()).tokens).toBe(128_000)
  })

  test('is the model’s maximum for content that cannot be seen', () => {
    const hidden = { tokens: 128_000, method: 'model_maximum' }
    expect(byteBound(askOf('', { opaque: ['previous_response_id'] }), model())).toEqual(hidden)
    expect(byteBound(askOf('', { images: 1 }), model({ imageTokensMax: 0 }))).toEqual(hidden)
  })

  test('is the maximum once more for every server tool call, since each reads the context again', () => {
    const ask = askOf('', {
      serverTools: [
        { name: 'web_search', callsMax: 4 },
        { name: 'web_fetch', callsMax: 1 },
      ],
    })
    expect(byteBound(ask, model()).tokens).toBe(128_000 * 6)
  })

  test('stays a safe integer whatever the caller writes', () => {
    const huge = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
    fc.assert(
      fc.property(huge, huge, huge, huge, (textBytes, images, mediaTokensMax, callsMax) => {
        const ask = askOf('', { textBytes, images, mediaTokensMax })
        const tools = askOf('', { serverTools: [{ name: 'web_search', callsMax }] })
        expect(Number.isSafeInteger(byteBound(ask, model()).tokens)).toBe(true)
        expect(Number.isSafeInteger(byteBound(tools, model()).tokens)).toBe(true)
        expect(Number.isSafeInteger(fixedTokens(ask, model()))).toBe(true)
      }),
    )
  })
})

describe('the output bound', () => {
  test('is the caller’s own maximum, times the choices', () => {
    const ask = askOf('', { outputTokensMax: 100, choices: 3 })
    expect(outputBound(ask, model(), free)).toEqual({ upper: 300, perChoiceMax: 100, injected: false })
  })

  test('clamps a maximum beyond the model’s own, so that a large number seizes nothing', () => {
    const ask = askOf('', { outputTokensMax: 1e12 })
    expect(outputBound(ask, model(), free)).toEqual({ upper: 16_384, perChoiceMax: 1e12, injected: false })
  })

  test('is injected when the caller gives none: the default, the model’s maximum or the rule’s, whichever is least', () => {
    const roomy = model({ context: 1_000_000, outputMax: 128_000 })
    expect(outputBound(askOf(''), roomy, free)).toEqual({
      upper: OUTPUT_TOKENS_DEFAULT,
      perChoiceMax: OUTPUT_TOKENS_DEFAULT,
      injected: true,
    })
    expect(outputBound(askOf(''), model({ outputMax: 4_096 }), free).perChoiceMax).toBe(4_096)
    expect(outputBound(askOf(''), roomy, { ...free, allowedMax: 1_000 }).perChoiceMax).toBe(1_000)
    expect(outputBound(askOf(''), roomy, { ...free, allowedMax: 100 }).perChoiceMax).toBe(100)
  })

  test('leaves room for the prompt in a small context, but never less than the floor', () => {
    const small = model({ context: 8_192, inputMax: 8_192, outputMax: 8_192 })
    expect(outputBound(askOf(''), small, { ...free, inputTokens: 2_000 }).perChoiceMax).toBe(8_192 - 3_000)
    expect(outputBound(askOf(''), small, { ...free, inputTokens: 8_000 }).perChoiceMax).toBe(256)
  })
})

describe('output beyond the answer', () => {
  test('what was predicted is added to every choice, and no maximum is set beside it but a rule’s', () => {
    const predicted = { predictedBytes: 1_000 }
    expect(outputBound(askOf('', { ...predicted, outputTokensMax: 100, choices: 2 }), model(), free).upper).toBe(2_200)
    expect(outputBound(askOf('', predicted), model(), free)).toEqual({
      upper: 17_384,
      perChoiceMax: 16_384,
      injected: false,
    })
    const roomy = model({ context: 1_000_000, outputMax: 128_000 })
    expect(outputBound(askOf('', predicted), roomy, free).upper).toBe(129_000)
    const ruled = outputBound(askOf('', predicted), model(), { ...free, allowedMax: 100 })
    expect(ruled).toEqual({ upper: 1_100, perChoiceMax: 100, injected: true })
  })

  test('a context that may be compacted is read twice, and summed up once, in every turn', () => {
    const compacts = { compacts: true, outputTokensMax: 100 }
    expect(byteBound(askOf('', compacts), model())).toEqual({ tokens: 256_000, method: 'model_maximum' })
    expect(outputBound(askOf('', compacts), model(), free).upper).toBe(100 + 16_384)
    const tools = { ...compacts, serverTools: [{ name: 'web_fetch', callsMax: 2 }] }
    expect(byteBound(askOf('', tools), model()).tokens).toBe(6 * 128_000)
    expect(outputBound(askOf('', tools), model(), free).upper).toBe(100 + 3 * 16_384)
  })
})

describe('expected input', () => {
  test('is at least one token and at most the model’s maximum', () => {
    expect(expectedInput(askOf('', { textBytes: 0 }), model(), 0.25)).toBe(1)
    expect(expectedInput(askOf('', { textBytes: 4_000 }), model(), 0.25)).toBe(1_000)
    expect(expectedInput(askOf('', { textBytes: 1e9 }), model(), 0.25)).toBe(128_000)
  })
})

describe('server tools', () => {
  test('are charged by the call, whatever the version of the tool', () => {
    const tools = [
      { name: 'web_search_20250305', callsMax: 3 },
      { name: 'web_search', callsMax: 2 },
      { name: 'web_fetch', callsMax: 9 },
    ]
    expect(callsOf(tools)).toEqual({ kind: 'priced', calls: { web_search: 5 } })
  })

  test('without a known price are named', () => {
    expect(callsOf([{ name: 'code_execution_20250825', callsMax: 1 }])).toEqual({
      kind: 'unknown',
      tool: 'code_execution_20250825',
    })
    expect(callsOf([{ name: 'constructor', callsMax: 1 }])).toMatchObject({ kind: 'unknown' })
  })

  test('are not named when what the caller wrote can be no name', () => {
    const tool = { name: 'the prompt, and more of it', callsMax: 1 }
    expect(callsOf([tool])).toEqual({ kind: 'unknown', tool: 'a tool' })
  })

  test('without a maximum are named', () => {
    expect(
      unboundedTool([
        { name: 'a', callsMax: 1 },
        { name: 'b', callsMax: undefined },
      ]),
    ).toBe('b')
  })
})
