import { openMemory, openRedis } from '../support/ledgers.ts'
import { ledgerContract } from './ledger.ts'

ledgerContract('memory', openMemory)
ledgerContract('Redis', openRedis)
