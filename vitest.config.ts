import { defineConfig } from 'vitest/config'

/** Contract and end-to-end suites start servers and processes of their own; two cores need this long at worst. */
const SLOW_TEST_MS = 120_000

const project = (name: string, include: string[], testTimeout: number) => ({
  test: { name, include, testTimeout, hookTimeout: testTimeout, pool: 'forks' as const },
})

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      project('unit', ['test/{domain,dialects,steps,config,tidy,observability}/**/*.test.ts'], 30_000),
      project('contract', ['test/{contract,adapters}/**/*.test.ts'], SLOW_TEST_MS),
      project('http', ['test/{http,e2e,chaos}/**/*.test.ts'], SLOW_TEST_MS),
      project('cli', ['test/cli/**/*.test.ts'], SLOW_TEST_MS),
    ],
  },
})
