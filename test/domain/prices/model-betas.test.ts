import { describe, expect, it } from 'vitest'
import { widened } from '../../../src/domain/prices/model-betas.ts'
import { model } from '../price-fixtures.ts'

const plain = model({ context: 200_000, inputMax: 200_000, outputMax: 64_000 })

describe('a model under betas of the caller', () => {
  it('is itself without betas, and with betas that widen nothing', () => {
    expect(widened(plain, undefined)).toBe(plain)
    expect(widened(plain, 'prompt-caching-2024-07-31, output-8k-x,context-,output-k')).toEqual(plain)
  })

  it('is bounded by what a beta could allow', () => {
    const wide = widened(plain, 'context-1m-2025-08-07, Output-128k-2025-02-19')
    expect(wide).toMatchObject({ context: 1_000_000, inputMax: 1_000_000, outputMax: 128_000 })
  })
})
