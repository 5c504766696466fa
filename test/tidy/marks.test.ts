import { describe, expect, it } from 'vitest'
import { CODE_MARKS, findMarks, TEST_MARKS } from './marks.ts'
import { readTree } from './source.ts'

const source = readTree('src', ['.ts', '.lua']).concat(readTree('scripts', ['.ts']))
// The rules stand in the tests of the rules, as samples.
const tests = readTree('test', ['.ts']).filter(({ path }) => !path.startsWith('test/tidy/'))

describe('marks that must not be in the code', () => {
  it('are not in src and scripts', () => {
    expect(source.map(({ path }) => path)).toContain('src/config/environment.ts')
    expect(findMarks(source, CODE_MARKS)).toEqual([])
  })

  it('are not in the tests', () => {
    expect(tests.map(({ path }) => path)).toContain('test/run.ts')
    expect(findMarks(tests, CODE_MARKS)).toEqual([])
  })

  it('let no test be left out', () => {
    expect(tests.some(({ path }) => path.endsWith('.test.ts'))).toBe(true)
    expect(findMarks(tests, TEST_MARKS)).toEqual([])
  })

  it.each([
    ['src/http/a.ts', 'console.log(a)'],
    ['test/a.ts', 'console . error(a)'],
    ['src/http/a.ts', "const a = process.env['A']"],
    ['src/http/a.ts', "const a = process['env']"],
    ['src/http/a.ts', "import { env } from 'node:process'"],
    ['src/domain/a.ts', 'const a = Date.now()'],
    ['src/domain/a.ts', 'const a = new Date()'],
    ['src/domain/a.ts', 'const a = new Date'],
    ['src/steps/route/a.ts', 'const a = performance.now()'],
    ['src/steps/a.ts', 'const a = Math.random()'],
    ['src/http/a.ts', 'export default a'],
    ['src/http/a.ts', "export * from './b.ts'"],
    ['src/http/a.ts', '// @ts-ignore'],
    ['src/http/a.ts', '// TODO: later'],
    ['src/http/a.ts', '// TODO(#12): later'],
    ['test/a.test.ts', '/* FIXME */'],
    ['src/http/a.ts', '// oxlint-disable-next-line no-eval'],
  ])('are found in %s: %s', (path, text) => {
    expect(findMarks([{ path, text: `\n${text}` }], CODE_MARKS)).toEqual([
      expect.stringMatching(new RegExp(`^${path}:2: `)),
    ])
  })

  it.each([
    ['src/config/environment.ts', "const a = process.env['A']"],
    ['src/http/a.ts', 'const a = Date.now()'],
    ['src/domain/a.ts', 'const a = new Date(ms)'],
    ['src/domain/a.ts', '/** What new Date() and console.log would say, in prose. */'],
    ['src/http/a.ts', "const a = 'console.log'"],
    ['src/http/a.ts', '// oxlint-disable-next-line no-eval -- the input is a constant'],
    ['test/a.ts', "const a = process.env['PATH']"],
  ])('are not seen in %s: %s', (path, text) => {
    expect(findMarks([{ path, text }], CODE_MARKS)).toEqual([])
  })

  it.each([
    ["it.skip('a', f)"],
    ["describe.only('a', f)"],
    ["test.todo('a')"],
    ["it.each([1]).skip('a', f)".replace('.each([1])', '.concurrent')],
    ["it.skipIf(a)('b', f)"],
    ["xit('a', f)"],
    ["it('a', (context) => context.skip())"],
    ["it('a', ({ skip }) => skip())"],
    ["vi.mock('../src/a.ts')"],
  ])('leave out a test: %s', (text) => {
    expect(findMarks([{ path: 'test/a.test.ts', text }], TEST_MARKS).length).toBeGreaterThan(0)
  })
})
