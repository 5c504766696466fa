import { openMemory, openRedis } from '../support/ledgers.ts'
import { ledgerLossContract } from './ledger-lost.ts'
import { ledgerTimeContract } from './ledger-time.ts'
import { ledgerWindowContract } from './ledger-windows.ts'
import { ledgerContract } from './ledger.ts'

ledgerContract('memory', openMemory)
ledgerTimeContract('memory', openMemory)
ledgerLossContract('memory', openMemory)
ledgerWindowContract('memory', openMemory)
ledgerContract('Redis', openRedis)
ledgerTimeContract('Redis', openRedis)
ledgerLossContract('Redis', openRedis)
ledgerWindowContract('Redis', openRedis)
