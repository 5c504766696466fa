import { describe, expect, it } from 'vitest'
import { mask } from './mask.ts'
import { readTree } from './source.ts'

const code = (text: string) => mask(text, { strings: true })
const kept = (text: string) => mask(text, { strings: false })

describe('blanking what is not code', () => {
  it.each([
    ['a // b', 'a     '],
    ['a /* b */ c', 'a         c'],
    ["/* a */'b'", "       ' '"],
    ["x = 'a // b' + 1", "x = '      ' + 1"],
    ["x = 'it\\'s' as Y", "x = '     ' as Y"],
    ['x = `a ${b as C} d ${`e ${f}`}` as G', 'x = `  ${b as C}   ${`  ${f}`}` as G'],
    ['x = `a ${{ b: 1 }} c` + d', 'x = `  ${{ b: 1 }}  ` + d'],
    ["s.replace(/['/]/g, t) as U", 's.replace(/    /g, t) as U'],
    ["x = /[/']/.test(a) // b", 'x = /    /.test(a)     '],
    ['x = a / b / c', 'x = a / b / c'],
    ['x = (a) / 2 // half', 'x = (a) / 2        '],
  ])('%s', (text, expected) => {
    expect(code(text)).toBe(expected)
  })

  it('can keep the strings and blank the comments alone', () => {
    expect(kept("import a from './b.ts' // from 'c'")).toBe("import a from './b.ts'            ")
  })

  it('keeps every offset and every line of the files of this project', () => {
    const files = readTree('src', ['.ts']).concat(readTree('test', ['.ts']))
    expect(files.length).toBeGreaterThan(0)
    for (const { text } of files) {
      expect(code(text)).toHaveLength(text.length)
      expect(code(text).split('\n')).toHaveLength(text.split('\n').length)
    }
  })
})
