import { describe, expect, it } from 'vitest'
import { findCircles, findDeadAssets, findDeadFiles } from './graph.ts'
import { readTree } from './source.ts'

const files = readTree('src', ['.ts'])
const assets = readTree('src', ['.lua', '.css', '.sql', '.html'])

const file = (path: string, ...imports: string[]) => ({
  path: `src/${path}`,
  text: imports.map((target) => `import { a } from '${target}'`).join('\n'),
})

describe('the graph of imports', () => {
  it('has no circle', () => {
    expect(files.map(({ path }) => path)).toContain('src/gateway.ts')
    expect(findCircles(files)).toEqual([])
  })

  it('leads from the entry to every file', () => {
    expect(files.map(({ path }) => path)).toContain('src/main.ts')
    expect(findDeadFiles(files)).toEqual([])
  })

  it('has no asset that nothing names', () => {
    expect(assets.map(({ path }) => path)).toContain('src/adapters/redis/lua/reserve.lua')
    expect(findDeadAssets(files, assets)).toEqual([])
  })
})

describe('a circle of imports', () => {
  it('is found and named by its files', () => {
    const circle = [
      file('main.ts', './a.ts'),
      file('a.ts', './b.ts'),
      file('b.ts', './c/c.ts'),
      file('c/c.ts', '../a.ts'),
    ]
    expect(findCircles(circle)).toEqual(['src/a.ts -> src/b.ts -> src/c/c.ts -> src/a.ts'])
  })

  it('is found when it is made of types', () => {
    const b = { path: 'src/b.ts', text: "import type { A } from './a.ts'" }
    expect(findCircles([file('a.ts', './b.ts'), b])).toHaveLength(1)
  })

  it('is not seen where two paths meet', () => {
    const diamond = [file('a.ts', './b.ts', './c.ts'), file('b.ts', './d.ts'), file('c.ts', './d.ts'), file('d.ts')]
    expect(findCircles(diamond)).toEqual([])
  })
})

describe('a dead file', () => {
  it('is found, even where dead files import each other', () => {
    const tree = [file('main.ts', './a.ts'), file('a.ts'), file('b.ts', './c.ts', './a.ts'), file('c.ts', './b.ts')]
    expect(findDeadFiles(tree).map((found) => found.split(':')[0])).toEqual(['src/b.ts', 'src/c.ts'])
  })

  it('is not a worker that a living file starts', () => {
    const main = { path: 'src/main.ts', text: "new Worker(new URL('./worker.ts', import.meta.url))" }
    expect(findDeadFiles([main, file('worker.ts', './a.ts'), file('a.ts')])).toEqual([])
  })

  it('is not brought to life by a comment', () => {
    const main = { path: 'src/main.ts', text: "// import { a } from './a.ts'" }
    expect(findDeadFiles([main, file('a.ts')])).toHaveLength(1)
  })

  it('may be a script that no code names', () => {
    const lua = { path: 'src/adapters/redis/void.lua', text: '' }
    expect(findDeadAssets([file('main.ts', './a.ts')], [lua])).toHaveLength(1)
    expect(findDeadAssets([{ path: 'src/a.ts', text: "read('void.lua')" }], [lua])).toEqual([])
  })
})
