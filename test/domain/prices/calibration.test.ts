import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Calibration, CALIBRATED_MODELS_MAX } from '../../../src/domain/prices/calibration.ts'
import { model, ratio } from '../price-fixtures.ts'

const priced = model()

describe('calibration', () => {
  test('starts from a quarter token per byte, scaled by the model', () => {
    expect(new Calibration().expectation(priced)).toEqual({ tokensPerByte: 0.25, outputTokens: 512 })
    const claude = model({
      id: 'claude',
      tokenizer: { encoding: undefined, certainty: 'measured', bytesFactor: ratio('2.25'), ratioO200k: ratio('1.44') },
    })
    expect(new Calibration().expectation(claude).tokensPerByte).toBeCloseTo(0.36)
  })

  test('settles on what a model keeps reporting', () => {
    const calibration = new Calibration()
    for (let i = 0; i < 100; i += 1) {
      calibration.learn(priced, { textBytes: 1_000, inputTokens: 400, outputTokens: 50 })
    }
    expect(calibration.expectation(priced).tokensPerByte).toBeCloseTo(0.4, 3)
    expect(calibration.expectation(priced).outputTokens).toBeCloseTo(50, 1)
  })

  test('one model teaches nothing about another, nor one provider about another', () => {
    const calibration = new Calibration()
    calibration.learn(priced, { textBytes: 1_000, inputTokens: 900, outputTokens: 9_000 })
    expect(calibration.expectation(model({ id: 'other' })).outputTokens).toBe(512)
    expect(calibration.expectation(model({ provider: 'other' })).outputTokens).toBe(512)
  })

  test('learns no density from a text that is mostly framing, nor anything from zero', () => {
    const calibration = new Calibration()
    calibration.learn(priced, { textBytes: 50, inputTokens: 900, outputTokens: 0 })
    expect(calibration.expectation(priced)).toEqual({ tokensPerByte: 0.25, outputTokens: 512 })
  })

  test('whatever is reported, expectations stay positive and finite', () => {
    const anything = fc.oneof(fc.double(), fc.integer())
    fc.assert(
      fc.property(anything, anything, anything, (textBytes, inputTokens, outputTokens) => {
        const calibration = new Calibration()
        calibration.learn(priced, { textBytes, inputTokens, outputTokens })
        const { tokensPerByte, outputTokens: length } = calibration.expectation(priced)
        expect(Number.isFinite(tokensPerByte) && tokensPerByte > 0).toBe(true)
        expect(Number.isFinite(length) && length > 0).toBe(true)
      }),
    )
  })

  test('remembers a bounded number of models and forgets the one learned from longest ago', () => {
    const calibration = new Calibration()
    const sample = { textBytes: 1_000, inputTokens: 900, outputTokens: 9_000 }
    calibration.learn(model({ id: 'first' }), sample)
    calibration.learn(model({ id: 'second' }), sample)
    calibration.learn(model({ id: 'first' }), sample)
    for (let i = 0; i < CALIBRATED_MODELS_MAX - 1; i += 1) calibration.learn(model({ id: `m${String(i)}` }), sample)
    expect(calibration.expectation(model({ id: 'second' })).outputTokens).toBe(512)
    expect(calibration.expectation(model({ id: 'first' })).outputTokens).toBeGreaterThan(512)
  })
})
