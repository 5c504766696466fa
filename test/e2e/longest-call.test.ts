import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readSettings } from '../../src/cli/settings.ts'
import { openSockets } from '../../src/cli/sockets.ts'
import { compose } from '../../src/compose.ts'
import { createSecretReader } from '../../src/config/environment.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { nano, settledIn, settledRecords, standingOf } from '../support/books.ts'
import { chat, openStream } from '../support/calls.ts'
import { configureGateway, tokenOf } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'

const POLICIES = policySet(`
budgets:
  - name: dollars
    key: [tenant, agent]
    limit: {usd: "1000.00", period: lifetime}
`)

/** Far slower than the test: it ends when it is ended. */
const endless = chat('tokens=4000 speed=10', { stream: true, max_tokens: 4_000 })

it('a stream that is older than any may be ends with an error frame on a broken connection, and is settled', async () => {
  const { dir, configFile } = await configureGateway({ policies: POLICIES })
  const config = readSettings({ configFile })
  {
    await using gateway = await compose(config, createSecretReader(), createLogger('fatal'))
    await using sockets = await openSockets(gateway, config)
    const token = await tokenOf(config.dataDir)
    const stream = await openStream({ url: sockets.url, token, body: endless })
    await stream.seen(3)
    expect(gateway.openCalls.haltOver(60_000)).toBe(0)
    expect(gateway.openCalls.haltOver(0)).toBe(1)
    expect(await stream.ended).toBe('broken')
    expect(stream.text()).toContain('"error"')
    expect(stream.text()).not.toContain('[DONE]')

    const records = await settledRecords([join(dir, 'data')])
    const spent = settledIn(records)
    expect(spent).toBeGreaterThan(0n)
    await gateway.openCalls.idle()
    const { used, held } = await standingOf(sockets.url, token, 'dollars')
    expect({ used: nano(used), held: nano(held) }).toEqual({ used: spent, held: 0n })
  }
  await rm(dir, { recursive: true, force: true })
})
