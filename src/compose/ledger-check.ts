import { systemTimer } from '../adapters/system/timer.ts'
import { LedgerUnavailable } from '../domain/failures.ts'
import { LEDGER_FAULTS } from '../domain/ledger/ledger-fault.ts'
import type { Logger } from '../observability/logger.ts'
import type { Ledger, LedgerFinding } from '../ports/ledger.ts'
import { StartFailed } from './rules.ts'

/** A gateway does not start on a store that is away, or that is set up so that it would forget what was spent. */
export async function checkLedger(ledger: Ledger, logger: Logger): Promise<void> {
  const findings = await look(ledger)
  for (const { severity, message } of findings) if (severity === 'warning') logger.warn(`ledger: ${message}`)
  const errors = findings.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new StartFailed(errors.map(({ message }) => `ledger: ${message}`).join('\n'))
}

/** A start is in no hurry: a store that was late once, on a busy machine, is asked again. */
const TRIES = 5
const TRY_AGAIN_MS = 200

async function look(ledger: Ledger, tries = TRIES): Promise<readonly LedgerFinding[]> {
  try {
    const findings = (await ledger.inspect?.()) ?? []
    // A store that is not to be used is named before it is asked whether it takes writes.
    if (findings.every(({ severity }) => severity !== 'error')) await ledger.ping()
    return findings
  } catch (error) {
    if (!(error instanceof LedgerUnavailable)) throw error
    if (error.fault === 'timeout' && tries > 1) {
      await systemTimer.wait(TRY_AGAIN_MS)
      return look(ledger, tries - 1)
    }
    const message = `ledger: ${LEDGER_FAULTS[error.fault]} (${error.message})`
    throw new LedgerUnavailable(message, { fault: error.fault, cause: error })
  }
}
