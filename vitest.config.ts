import { defineConfig } from 'vitest/config'

/** Contract and end-to-end suites start servers and processes of their own; two cores need this long at worst. */
const SLOW_TEST_MS = 240_000

interface Project {
  readonly name: string
  readonly include: readonly string[]
  readonly exclude?: readonly string[]
  readonly testTimeout: number
}

const project = ({ name, include, exclude = [], testTimeout }: Project) => ({
  test: {
    name,
    include: [...include],
    exclude: [...exclude],
    testTimeout,
    hookTimeout: testTimeout,
    pool: 'forks' as const,
  },
})

const CONTRACT = 'test/{contract,adapters}/**/*.test.ts'
const HTTP = 'test/{http,e2e,chaos}/**/*.test.ts'
const CLI = 'test/cli/**/*.test.ts'

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      // The rest is unit, so that no test file is outside every project.
      project({ name: 'unit', include: ['test/**/*.test.ts'], exclude: [CONTRACT, HTTP, CLI], testTimeout: 30_000 }),
      project({ name: 'contract', include: [CONTRACT], testTimeout: SLOW_TEST_MS }),
      project({ name: 'http', include: [HTTP], testTimeout: SLOW_TEST_MS }),
      project({ name: 'cli', include: [CLI], testTimeout: SLOW_TEST_MS }),
    ],
  },
})
