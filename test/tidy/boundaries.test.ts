import { describe, expect, it } from 'vitest'
import { areaOf, BOUNDARIES, findTrespasses, PACKAGES } from './boundaries.ts'
import { readTree, ROOT } from './source.ts'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const files = readTree('src', ['.ts'])

/** Findings of one file at `path` with `text`, beside files that give an import something to reach. */
function trespasses(path: string, text: string) {
  const others = [
    'src/domain/prices/money.ts',
    'src/ports.ts',
    'src/gateway.ts',
    'src/dialects/chat.ts',
    'src/steps/route.ts',
  ]
    .concat(['src/adapters/redis/keys.ts', 'src/adapters/redis/deep/lua.ts', 'src/compose.ts', 'src/cli/serve.ts'])
    .filter((other) => other !== path)
  return findTrespasses([{ path, text }, ...others.map((other) => ({ path: other, text: '' }))])
}

describe('the direction of imports', () => {
  it('is kept by every file of src', () => {
    expect(files.map(({ path }) => path)).toContain('src/gateway.ts')
    expect(files.map(({ path }) => path)).toContain('src/domain/prices/money.ts')
    expect(findTrespasses(files)).toEqual([])
  })

  it.each([
    ['a domain file that imports a port', 'src/domain/a.ts', "import { a } from '../ports.ts'"],
    ['a type that is imported upward', 'src/domain/a.ts', "import type { A } from '../ports.ts'"],
    ['a type in place', 'src/ports.ts', "type A = import('./gateway.ts').A"],
    ['an export from above', 'src/steps/a.ts', "export { a } from '../gateway.ts'"],
    ['an import over several lines', 'src/steps/a.ts', "import {\n  a,\n  type B,\n} from '../dialects/chat.ts'"],
    ['an import for its effect', 'src/dialects/a.ts', "import '../ports.ts'"],
    ['an import at run time', 'src/ports.ts', "const a = await import('./gateway.ts')"],
    ['a worker above', 'src/steps/a.ts', "new Worker(new URL('../gateway.ts', import.meta.url))"],
    ['one adapter in another', 'src/adapters/memory/a.ts', "import { a } from '../redis/keys.ts'"],
    [
      'a dialect in an adapter that needs none',
      'src/adapters/redis/a.ts',
      "import { a } from '../../dialects/chat.ts'",
    ],
    ['the composition in a face', 'src/http/app.ts', "import { a } from '../compose.ts'"],
    ['a command in the composition', 'src/compose.ts', "import { a } from './cli/serve.ts'"],
    ['a package outside its adapter', 'src/adapters/memory/a.ts', "import { Redis } from 'ioredis'"],
    ['a part of a package outside its adapter', 'src/http/a.ts', "import type { A } from 'openai/resources'"],
    ['a package in the domain', 'src/domain/a.ts', "import { z } from 'zod'"],
    ['an unknown package', 'src/http/a.ts', "import a from 'left-pad'"],
    ['a package named like a property of every object', 'src/http/a.ts', "import a from 'constructor'"],
    ['a built-in module that does I/O in a step', 'src/steps/a.ts', "import { readFileSync } from 'node:fs'"],
    ['a built-in module without its prefix', 'src/http/a.ts', "import { readFileSync } from 'fs'"],
    ['a file that is not there', 'src/http/a.ts', "import { a } from '../gatewy.ts'"],
    [
      'a file that is not there, in an area that may be imported',
      'src/http/a.ts',
      "import { a } from '../domain/no.ts'",
    ],
    ['a file outside src', 'src/http/a.ts', "import { a } from '../../test/support/a.ts'"],
    ['a computed import', 'src/http/a.ts', 'await import(name)'],
    ['a hidden import', 'src/http/a.ts', "const a = require('fs')"],
    ['an area without a row', 'src/news/a.ts', "import { a } from '../domain/money.ts'"],
  ])('is broken by %s', (_, path, text) => {
    expect(trespasses(path, text)).toHaveLength(1)
  })

  it.each([
    [
      'src/http/a.ts',
      "import { a } from '../gateway.ts'\nimport express from 'express'\nimport { b } from 'node:http'",
    ],
    ['src/adapters/redis/a.ts', "import { Redis } from 'ioredis'\nimport { a } from './deep/lua.ts'"],
    ['src/adapters/redis.ts', "import { a } from './redis/keys.ts'"],
    ['src/adapters/providers/a.ts', "import { a } from '../../dialects/chat.ts'"],
    ['src/compose.ts', "import { a } from './adapters/redis/keys.ts'"],
    ['src/domain/a.ts', "import { createHash } from 'node:crypto'\n// import { a } from '../ports.ts'"],
  ])('is kept by %s with %s', (path, text) => {
    expect(trespasses(path, text)).toEqual([])
  })

  it('names the line of the import', () => {
    expect(trespasses('src/domain/a.ts', "\n\nimport { a } from '../ports.ts'")).toEqual([
      'src/domain/a.ts:3: domain must not import ports (../ports.ts)',
    ])
  })
})

describe('the tables of the boundaries', () => {
  const areas = new Set(files.map(({ path }) => areaOf(path)))

  it('have no row for an area that is not there', () => {
    const known = new Set([...areas].flatMap((area) => [area, area.replace(/\/.*$/, '/*')]))
    expect(Object.keys(BOUNDARIES).filter((area) => !known.has(area))).toEqual([])
  })

  it('name a place for each package that is installed for use, and only for those', () => {
    const manifest: { dependencies: Record<string, string> } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    )
    expect(Object.keys(PACKAGES).toSorted()).toEqual(Object.keys(manifest.dependencies).toSorted())
  })

  it('name only places that are there', () => {
    expect(
      Object.values(PACKAGES)
        .flat()
        .filter((area) => !areas.has(area)),
    ).toEqual([])
  })
})
