import { MODEL } from './canned.ts'

/** More than any run can use, and well below the largest amount of the ledger. */
const PLENTY = 1_000_000_000
const PLENTY_USD = '1000000.00'

/**
 * Eight accumulators a call, of every kind: one of calls in flight, two buckets, two sliding windows, three budgets. The
 * ninth, of the team that is out of money, is no part of an admitted call.
 */
export function policySet({ upstream, keyFile }: { readonly upstream: string; readonly keyFile: string }): object {
  return {
    apiVersion: 'tollgate/v1',
    kind: 'PolicySet',
    metadata: { name: 'bench' },
    identity: { issuers: [{ name: 'dev', builtin: true }] },
    upstreams: [
      {
        name: 'canned',
        provider: 'openai',
        baseUrl: `${upstream}/v1`,
        models: { [MODEL]: MODEL },
        keys: [{ id: 'bench', secret: `file:${keyFile}` }],
      },
    ],
    destinations: { allow: ['127.0.0.1'], allowPrivate: ['127.0.0.0/8'] },
    access: { rules: [{ name: 'callers', match: { role: 'caller' }, allow: { models: [MODEL] } }] },
    limits: [
      {
        name: 'agent',
        key: ['tenant', 'team', 'agent'],
        concurrent: 100_000,
        rates: [
          { requests: PLENTY, window: '1m' },
          { tokens: PLENTY, window: '1m' },
        ],
      },
      {
        name: 'user',
        key: ['tenant', 'user'],
        rates: [
          { requests: PLENTY, window: '1m', algorithm: 'gcra' },
          { outputTokens: PLENTY, window: '1h' },
        ],
      },
    ],
    budgets: [
      { name: 'tenant-month', key: ['tenant'], limit: { usd: PLENTY_USD, period: 'month', timezone: 'Europe/Berlin' } },
      { name: 'team-day', key: ['tenant', 'team'], limit: { usd: PLENTY_USD, period: 'day' } },
      { name: 'user-hour', key: ['tenant', 'user'], limit: { usd: PLENTY_USD, period: 'hour' } },
      {
        name: 'broke-month',
        match: { team: 'broke' },
        key: ['tenant', 'team'],
        limit: { usd: '0.000001', period: 'month' },
      },
    ],
  }
}
