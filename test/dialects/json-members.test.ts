import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { CALLER_BOUNDS, JSON_DEPTH_MAX, JSON_VALUES_MAX, scanObject } from '../../src/dialects/json-members.ts'

const bytes = (text: string) => Buffer.from(text)

describe('scanObject', () => {
  it('finds every member where JSON.parse finds it', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' })),
        fc.constantFrom(undefined, 1, '\t'),
        (value, indent) => {
          const body = bytes(JSON.stringify(value, null, indent))
          const object = scanObject(body)
          if (object.kind !== 'object') throw new Error(object.fault)
          const read = object.members.map(({ key, valueStart, valueEnd }): [string, unknown] => [
            key,
            JSON.parse(body.toString('utf8', valueStart, valueEnd)),
          ])
          expect(Object.fromEntries(read)).toEqual(JSON.parse(JSON.stringify(value)))
          expect(object.end).toBe(body.length)
        },
      ),
    )
  })

  it('finds the end of long strings full of escapes', () => {
    const piece = fc.constantFrom('x'.repeat(70), '"', '\\', '\\"', 'é')
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 12 }), (pieces) => {
        const body = bytes(JSON.stringify({ a: pieces.join(''), b: 1 }))
        const object = scanObject(body)
        const last = object.kind === 'object' ? object.members.at(-1) : undefined
        expect(last).toMatchObject({ key: 'b', valueEnd: body.length - 1 })
      }),
    )
  })

  it('never throws, whatever the bytes', () => {
    const soup = fc.array(fc.constantFrom('{', '}', '[', ']', '"', '\\', ':', ',', 'a', '1', ' ', 'é'))
    fc.assert(
      fc.property(soup, (tokens) => {
        expect(scanObject(bytes(tokens.join(''))).kind).toMatch(/object|fault/)
      }),
    )
  })

  it('shows members named twice, also when one of them is escaped', () => {
    const object = scanObject(bytes('{"model":1,"mod\\u0065l":2}'))
    expect(object.kind === 'object' && object.members.map(({ key }) => key)).toEqual(['model', 'model'])
  })

  it('refuses nesting deeper than its bound and takes what is just within', () => {
    const nested = (depth: number) => bytes(`{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`)
    expect(scanObject(nested(JSON_DEPTH_MAX)).kind).toBe('object')
    expect(scanObject(nested(JSON_DEPTH_MAX + 1))).toEqual({ kind: 'fault', fault: 'too_deep' })
  })

  it('bounds the values of a caller, and of anybody else only the members it keeps', () => {
    const nested = bytes(`{"a":[${'1,'.repeat(JSON_VALUES_MAX + 1)}1]}`)
    expect(scanObject(nested).kind).toBe('object')
    expect(scanObject(nested, 0, CALLER_BOUNDS)).toEqual({ kind: 'fault', fault: 'too_many' })
    const flat = bytes(`{${'"a":1,'.repeat(JSON_VALUES_MAX + 1)}"b":1}`)
    expect(scanObject(flat)).toEqual({ kind: 'fault', fault: 'too_many' })
  })

  it('takes linear time on megabytes of quotes, backslashes and brackets', () => {
    for (const unit of ['\\"', '\\\\', 'xx', `${'x'.repeat(70)}\\"`]) {
      const body = bytes(`{"a":"${unit.repeat(2_000_000 / unit.length)}"}`)
      expect(scanObject(body).kind).toBe('object')
      // Work that grows with the square of the size would take longer than a test may.
    }
    expect(scanObject(bytes('{"a":'.repeat(1_000_000)))).toEqual({ kind: 'fault', fault: 'too_deep' })
  })
})
