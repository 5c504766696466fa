import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { setMember, splice } from '../../src/dialects/json-edit.ts'
import { scanObject } from '../../src/dialects/json-members.ts'

const bytes = (text: string) => Buffer.from(text)

describe('splice', () => {
  it('changes the named value and not one byte beside it', () => {
    const key = fc.string({ minLength: 1 }).filter((name) => name !== '__proto__')
    fc.assert(
      fc.property(fc.dictionary(key, fc.jsonValue()), key, fc.jsonValue(), (value, name, next) => {
        const body = bytes(JSON.stringify(value, null, 1))
        const object = scanObject(body)
        if (object.kind !== 'object') throw new Error(object.fault)
        const edit = setMember(object, name, JSON.stringify(next))
        const spliced = Buffer.from(splice(body, [edit]))
        expect(JSON.parse(spliced.toString())).toEqual({
          ...JSON.parse(body.toString()),
          [name]: JSON.parse(JSON.stringify(next)),
        })
        expect(spliced.subarray(0, edit.start)).toEqual(body.subarray(0, edit.start))
        expect(spliced.subarray(spliced.length - (body.length - edit.end))).toEqual(body.subarray(edit.end))
      }),
    )
  })

  it('gives the very same bytes when there is nothing to change', () => {
    const body = bytes('{ }')
    expect(splice(body, [])).toBe(body)
  })
})
