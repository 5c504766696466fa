import { describe, expect, it } from 'vitest'
import { findLongFiles, LINES_MAX, LINES_USUAL_MAX } from './sizes.ts'
import { readTree } from './source.ts'

const files = readTree('src', ['.ts', '.lua']).concat(readTree('scripts', ['.ts']))
const long = (lines: number) => [{ path: 'src/a.ts', text: 'a\n'.repeat(lines) }]

describe('the size of files', () => {
  it('is usual, or on record and shrinking', () => {
    expect(files.map(({ path }) => path)).toContain('src/gateway.ts')
    expect(findLongFiles(files)).toEqual([])
  })

  it('is usual up to its bound', () => {
    expect(findLongFiles(long(LINES_USUAL_MAX))).toEqual([])
    expect(findLongFiles(long(LINES_USUAL_MAX + 1))).toHaveLength(1)
  })

  it('may be more where it is on record, but neither more nor less than the record', () => {
    expect(findLongFiles(long(300), { 'src/a.ts': 300 })).toEqual([])
    expect(findLongFiles(long(301), { 'src/a.ts': 300 })).toHaveLength(1)
    expect(findLongFiles(long(299), { 'src/a.ts': 300 })).toHaveLength(1)
  })

  it('is never above the cap', () => {
    expect(findLongFiles(long(LINES_MAX + 1), { 'src/a.ts': LINES_MAX + 1 })).toHaveLength(1)
  })

  it('leaves no row for a file that is usual or gone', () => {
    expect(findLongFiles(long(100), { 'src/a.ts': 300 })).toHaveLength(1)
    expect(findLongFiles([], { 'src/a.ts': 300 })).toHaveLength(1)
  })
})
