import { property, assert, string, array, oneof, integer, boolean, constant, jsonValue, dictionary } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ACTORS_MAX, BUILTIN_CLAIM_MAP, mapClaims, textFault } from '../../src/domain/claims.ts'
import type { IdentityDimension } from '../../src/domain/identity.ts'
import type { ClaimSource } from '../../src/domain/policy/policy.ts'

const MAPPED = 'tenant team user agent client tier lane classification residency run issuer'.split(' ')

const claim = (name: string, more: Partial<ClaimSource> = {}): ClaimSource => ({
  from: { kind: 'claim', name },
  prefix: '',
  default: undefined,
  ...more,
})
const pointer = (...path: string[]): ClaimSource => ({
  from: { kind: 'pointer', path },
  prefix: '',
  default: undefined,
})

function map(sources: Partial<Record<IdentityDimension, ClaimSource>>, payload: unknown) {
  // Through JSON, as a payload comes: only so can it have an own `__proto__`.
  const parsed: Record<string, unknown> = JSON.parse(typeof payload === 'string' ? payload : JSON.stringify(payload))
  return mapClaims({ name: 'idp', map: sources }, parsed)
}

function mapped(sources: Partial<Record<IdentityDimension, ClaimSource>>, payload: unknown) {
  const result = map(sources, payload)
  if (result.kind === 'fault') throw new Error(`${result.dimension} ${result.problem}`)
  return result
}

const fault = (dimension: string, problem: RegExp) => ({
  kind: 'fault',
  dimension,
  problem: expect.stringMatching(problem),
})

describe('where a value comes from', () => {
  it('a claim is found by its whole name, whatever dots, colons and slashes it holds', () => {
    for (const name of ['cognito:groups', 'https://llm.example.com/tier', 'kubernetes.io', 'a/b~c']) {
      expect(mapped({ tier: claim(name) }, { [name]: 'gold' }).single.tier).toBe('gold')
    }
  })

  it('a pointer reaches into objects and lists and gives up quietly where there is nothing', () => {
    const payload = { realm_access: { roles: ['dev', 'ops'] }, 'kubernetes.io': { serviceaccount: { name: 'bot' } } }
    const sources = {
      role: pointer('realm_access', 'roles'),
      agent: pointer('kubernetes.io', 'serviceaccount', 'name'),
      team: pointer('realm_access', 'roles', '1'),
      tier: pointer('realm_access', 'nothing', 'here'),
      lane: pointer('realm_access', 'roles', '01'),
      client: pointer('realm_access', 'roles', '-'),
      run: pointer('realm_access', 'roles', 'length'),
    }
    const { single, list } = mapped(sources, payload)
    expect(list.role).toEqual(['dev', 'ops'])
    expect(single).toEqual({ agent: 'bot', team: 'ops', issuer: 'idp' })
  })

  it('a fixed value needs no claim', () => {
    const fixed: ClaimSource = { from: { kind: 'value', value: 'acme' }, prefix: '', default: undefined }
    expect(mapped({ tenant: fixed, group: fixed }, {})).toMatchObject({
      single: { tenant: 'acme' },
      list: { group: ['acme'] },
    })
  })

  it('a prefix stands before what the token says, and not before the default of the policy', () => {
    const source = claim('sub', { prefix: 'idp:', default: 'nobody' })
    expect(mapped({ user: source }, { sub: 'ada' }).single.user).toBe('idp:ada')
    expect(mapped({ user: source }, {}).single.user).toBe('nobody')
    expect(mapped({ role: claim('roles', { prefix: 'r:' }) }, { roles: ['a', 'b'] }).list.role).toEqual(['r:a', 'r:b'])
    expect(mapped({ role: claim('roles', { default: 'guest' }) }, {}).list.role).toEqual(['guest'])
  })

  it('a default never replaces a value that is there and wrong', () => {
    for (const value of [null, '', 7, ['x'], { a: 1 }, false]) {
      expect(map({ tier: claim('tier', { default: 'free' }) }, { tier: value })).toMatchObject({ kind: 'fault' })
    }
  })

  it('a dimension that the token does not give stays absent', () => {
    expect(mapped(BUILTIN_CLAIM_MAP, { sub: 'ada' })).toEqual({
      kind: 'mapped',
      single: { user: 'ada', issuer: 'idp' },
      list: { role: [], group: [] },
      actors: [],
    })
  })

  it('the issuer is who signed and the address is the connection: no claim gives either', () => {
    const sources = { issuer: claim('iss'), ip: claim('ip') }
    expect(mapped(sources, { iss: 'other', ip: '10.0.0.1' }).single).toEqual({ issuer: 'idp' })
  })

  it('the built-in map reads every option of `token issue`', () => {
    const text =
      '{"tenant":"t","team":"m","sub":"u","agent":"a","client_id":"c","roles":["r"],"groups":"g","tier":"x",' +
      '"lane":"l","data_classification":"internal","residency":"eu","run":"1"}'
    const { single, list } = mapped(BUILTIN_CLAIM_MAP, text)
    expect(Object.values(single)).toEqual(['t', 'm', 'u', 'a', 'c', 'x', 'l', 'internal', 'eu', '1', 'idp'])
    expect(Object.keys(single)).toEqual(MAPPED)
    expect(list).toEqual({ role: ['r'], group: ['g'] })
  })
})

describe('what a value may be', () => {
  it.each([
    ['a number', 7, /is a number; a string is needed/],
    ['a boolean', true, /is a boolean/],
    ['null', null, /is null/],
    ['an object', {}, /is an object/],
    ['a list', ['x'], /is a list/],
    ['an empty string', '', /is empty/],
    ['257 characters', 'x'.repeat(257), /has 257 characters; at most 256/],
    ['a control character', 'a\u0000b', /control/],
    ['a line break', 'a\nb', /control/],
    ['a line separator', 'a\u2028b', /control/],
    ['a right-to-left override', 'admin\u202E', /bidirectional/],
    ['an isolate', '\u2066x', /bidirectional/],
    ['an unassigned character', 'a\u0378', /unassigned/],
    ['a lone surrogate', 'a\ud800', /unpaired/],
    ['a decomposed letter', 'Ame\u0301lie', /normal form C/],
  ])('%s is refused, with its place and the reason', (_, value, problem) => {
    expect(map({ user: claim('sub') }, { sub: value })).toEqual(fault('user', problem))
  })

  it('256 characters and every script are accepted as they are', () => {
    for (const value of ['x'.repeat(256), 'Amélie', '李雷', 'auth0|123', 'ada@example.com', ' spaced ']) {
      expect(mapped({ user: claim('sub') }, { sub: value }).single.user).toBe(value)
    }
  })

  it('the prefix counts toward the length', () => {
    expect(map({ user: claim('sub', { prefix: 'p:' }) }, { sub: 'x'.repeat(255) })).toEqual(fault('user', /257/))
  })

  it('one bad value in a list refuses the list', () => {
    expect(map({ role: claim('roles') }, { roles: ['ok', 7] })).toEqual(fault('role', /is a number/))
    expect(map({ role: claim('roles') }, { roles: ['ok', ['nested']] })).toEqual(fault('role', /is a list/))
    expect(map({ role: claim('roles') }, { roles: { admin: true } })).toEqual(fault('role', /is an object/))
  })

  it('a list holds at most 500 values, a string is a list of one, a repeated value counts once', () => {
    const many = Array.from({ length: 501 }, (_, index) => `r${index}`)
    expect(map({ role: claim('roles') }, { roles: many })).toEqual(fault('role', /has 501 values; at most 500/))
    expect(mapped({ role: claim('roles') }, { roles: many.slice(1) }).list.role).toHaveLength(500)
    expect(mapped({ role: claim('roles') }, { roles: 'dev' }).list.role).toEqual(['dev'])
    expect(mapped({ role: claim('roles') }, { roles: ['dev', 'ops', 'dev'] }).list.role).toEqual(['dev', 'ops'])
  })

  it('a run is a path of names, and anything else is a fault', () => {
    expect(mapped({ run: claim('run') }, { run: 'r-1/child' }).single.run).toBe('r-1/child')
    for (const run of ['two words', 'a//b', 'a/', '1/2/3/4/5/6/7/8/9']) {
      expect(map({ run: claim('run') }, { run })).toEqual(fault('run', /^(is not the name of a run|has 9 parts)/))
    }
  })

  it('a fault never repeats the value', () => {
    const result = map({ user: claim('sub') }, { sub: `secret-name\n` })
    expect(JSON.stringify(result)).not.toContain('secret-name')
  })
})

describe('names that other code trips over', () => {
  it('own claims called __proto__ and constructor give nothing away and can be mapped like any other', () => {
    const payload = '{"sub":"ada","__proto__":{"tenant":"evil","tier":"gold"},"constructor":"built","toString":"x"}'
    const result = mapped({ user: claim('sub'), tenant: claim('tenant'), tier: claim('tier') }, payload)
    expect(result.single).toEqual({ user: 'ada', issuer: 'idp' })
    expect(Object.getPrototypeOf(result.single)).toBe(Object.prototype)
    expect(mapped({ run: claim('constructor') }, payload).single.run).toBe('built')
    expect(mapped({ tier: pointer('__proto__', 'tier') }, payload).single.tier).toBe('gold')
  })

  it('what every object inherits is not a claim', () => {
    for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
      expect(mapped({ tier: claim(name, { default: 'free' }) }, {}).single.tier).toBe('free')
      expect(mapped({ tier: pointer('a', name) }, { a: {} }).single.tier).toBeUndefined()
    }
  })
})

describe('the chain of actors', () => {
  const chain = (depth: number): unknown => (depth === 0 ? undefined : { sub: `actor-${depth}`, act: chain(depth - 1) })

  it('is listed outermost first', () => {
    expect(mapped({}, { act: { sub: 'now', act: { sub: 'before' } } }).actors).toEqual(['now', 'before'])
  })

  it(`is accepted to a depth of ${ACTORS_MAX} and refused beyond`, () => {
    expect(mapped({}, { act: chain(ACTORS_MAX) }).actors).toHaveLength(ACTORS_MAX)
    expect(map({}, { act: chain(ACTORS_MAX + 1) })).toEqual(fault('act', /deeper than 8/))
  })

  it.each([['agent'], [null], [{}], [{ sub: 7 }], [{ sub: 'a', act: 'b' }], [[{ sub: 'a' }]]])(
    '%j is refused',
    (act) => {
      expect(map({}, { act })).toMatchObject({ kind: 'fault', dimension: 'act' })
    },
  )
})

describe('for any payload', () => {
  const sources = {
    user: claim('sub', { prefix: 'p:' }),
    tier: claim('tier', { default: 'free' }),
    role: claim('roles'),
    team: pointer('x', '0', 'y'),
  }

  it('a mapped identity holds only values that a name may be', () => {
    const text = oneof(string(), string({ unit: 'binary' }), constant('ok'))
    const any = oneof(text, array(text, { maxLength: 4 }), integer(), boolean(), jsonValue())
    const payloads = dictionary(oneof(constant('sub'), constant('tier'), constant('roles'), constant('act'), text), any)
    assert(
      property(payloads, (payload) => {
        const result = mapClaims({ name: 'idp', map: sources }, payload)
        const values =
          result.kind === 'fault' ? [] : [...Object.values(result.single), ...result.list.role, ...result.actors]
        expect(values.filter((value) => textFault(value) !== undefined)).toEqual([])
        const user = result.kind === 'mapped' ? result.single.user : undefined
        const { sub } = payload
        expect([undefined, typeof sub === 'string' ? `p:${sub}` : 'no string, no user']).toContain(user)
      }),
    )
  })

  it('claims that the map does not name change nothing', () => {
    const payloads = dictionary(string(), jsonValue())
    assert(
      property(payloads, (extra) => {
        const named = { sub: 'ada', roles: ['dev'], tier: 'gold', x: undefined, act: undefined }
        const result = mapClaims({ name: 'idp', map: sources }, { ...extra, ...named })
        expect(result).toEqual(mapClaims({ name: 'idp', map: sources }, named))
      }),
    )
  })
})
