import { openMemory, openRedis } from '../support/ledgers.ts'
import { ledgerTimeContract } from './ledger-time.ts'
import { ledgerContract } from './ledger.ts'

ledgerContract('memory', openMemory)
ledgerTimeContract('memory', openMemory)
ledgerContract('Redis', openRedis)
ledgerTimeContract('Redis', openRedis)
