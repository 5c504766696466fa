/**
 * A data folder as commands read it, without a running gateway: its records, their verification, its open holds.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createPseudonyms } from '../adapters/audit-log/pseudonyms.ts'
import { queryRecords } from '../adapters/audit-log/query.ts'
import type { RecordFilter } from '../adapters/audit-log/query.ts'
import { verifyFolder } from '../adapters/audit-log/verify.ts'
import type { LogReport } from '../adapters/audit-log/log-report.ts'
import { createRedisLedger } from '../adapters/redis/ledger.ts'
import type { StoredLedger } from '../adapters/redis/ledger.ts'
import type { Config } from '../config/config.ts'
import type { AuditRecord } from '../domain/audit/audit-record.ts'
import type { Ledger } from '../ports/ledger.ts'
import { keysFolder } from './issuer.ts'

export type { LogReport, RecordFilter }

/** What can be looked at without changing anything. */
export type LedgerView = Pick<Ledger, 'holds' | 'budgets'> & AsyncDisposable

/** Bound of one command of a look: a person at a terminal waits longer than a call does, and its pages are larger. */
const LOOK_TIMEOUT_MS = 2_000

export interface DataFolder {
  /** Records of all logs in the order of time, as far as they pass the filter. */
  records(filter?: RecordFilter): AsyncIterable<AuditRecord>
  /** Every log against its checkpoints; with a key from a trusted place, or else the one in the log's own folder. */
  verify(vkey: string | undefined): Promise<readonly LogReport[]>
  /** What the records call a person; undefined without the key that pseudonyms are made with. */
  pseudonymOf(person: { readonly tenant: string; readonly issuer: string; readonly name: string }): string | undefined
  /** The shared ledger, to be looked at; undefined when the ledger lives in the gateway's own memory. */
  sharedLedger(): LedgerView | undefined
}

/** The shared ledger as a command uses it: it decides nothing. */
export function openStoredLedger({ ledger }: Pick<Config, 'ledger'>): StoredLedger | undefined {
  return ledger.kind === 'memory' ? undefined : createRedisLedger({ ...ledger, commandTimeoutMs: LOOK_TIMEOUT_MS })
}

export function openDataFolder(config: Config): DataFolder {
  const { dataDir } = config
  return {
    records: (filter = {}) => queryRecords(dataDir, filter),
    verify: (vkey) => verifyFolder(dataDir, vkey === undefined ? {} : { vkey }),
    pseudonymOf({ tenant, issuer, name }) {
      const keyFile = join(keysFolder(config), 'pseudonyms.key')
      // Reading must not make a key: its pseudonyms would be nobody's.
      if (!existsSync(keyFile)) return undefined
      return createPseudonyms({ keyFile }).of(tenant, issuer, name)
    },
    sharedLedger: () => openStoredLedger(config),
  }
}
