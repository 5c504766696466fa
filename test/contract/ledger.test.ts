import { openCluster, openMemory, openRedis } from '../support/ledgers.ts'
import { ledgerExpiryContract } from './ledger-expired.ts'
import { ledgerFitContract } from './ledger-fit.ts'
import { ledgerLossContract } from './ledger-lost.ts'
import { ledgerRunContract } from './ledger-runs.ts'
import { ledgerTimeContract } from './ledger-time.ts'
import { ledgerWindowContract } from './ledger-windows.ts'
import { ledgerContract } from './ledger.ts'

const CONTRACTS = [
  ledgerContract,
  ledgerTimeContract,
  ledgerLossContract,
  ledgerWindowContract,
  ledgerExpiryContract,
  ledgerRunContract,
  ledgerFitContract,
] as const

for (const contract of CONTRACTS) {
  contract('memory', openMemory)
  contract('Redis', openRedis)
  contract('Redis Cluster', openCluster)
}
