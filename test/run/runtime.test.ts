import { describe, expect, it } from 'vitest'
import { explainNode } from './runtime.ts'

describe('the Node that may run the project', () => {
  it.each(['24.12.0', '24.21.0', '25.0.0', '26.1.3'])('accepts %s', (version) => {
    expect(explainNode(version)).toBeUndefined()
  })

  it.each(['24.11.9', '22.20.0', '20.20.2', '23.99.0'])('says what to do instead of running under %s', (version) => {
    expect(explainNode(version)).toContain(version)
  })
})
