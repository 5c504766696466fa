import type { RequestHandler } from 'express'
import { faultOf } from '../domain/failures.ts'
import type { AuditLog } from '../ports/audit-log.ts'
import type { Ledger } from '../ports/ledger.ts'

/** Whether the process can take calls; `draining` is set when shutdown begins. */
export interface Readiness {
  readonly auditLog: AuditLog
  readonly ledger: Ledger
  readonly draining: () => boolean
}

/** GET /livez: the process runs and its event loop turns. Depends on nothing else, so that nothing else restarts it. */
export function live(): RequestHandler {
  return (_request, response) => {
    response.type('text/plain').send('ok')
  }
}

/** GET /readyz: everything an admitted call needs is there. `?verbose` lists the checks. */
export function ready(readiness: Readiness): RequestHandler {
  return async (request, response) => {
    const checks = [
      { name: 'audit', fault: readiness.auditLog.writable() ? undefined : 'failed' },
      { name: 'ledger', fault: await ledgerFault(readiness.ledger) },
      { name: 'not-draining', fault: readiness.draining() ? 'failed' : undefined },
    ]
    const ok = checks.every((check) => check.fault === undefined)
    response.status(ok ? 200 : 503).type('text/plain')
    const lines = checks.map(({ name, fault }) => (fault === undefined ? `[+]${name} ok` : `[-]${name} ${fault}`))
    response.send('verbose' in request.query ? `${lines.join('\n')}\n` : ok ? 'ok' : 'not ready')
  }
}

/** Undefined when the ledger answers and takes writes, else `failed` and why. */
async function ledgerFault(ledger: Ledger): Promise<string | undefined> {
  try {
    await ledger.ping()
    // Which logs it waits for is for whoever operates it.
    const closed = ledger.closedFor?.()
    return closed && `failed: ${closed.fault}: ${closed.message}`
  } catch (error) {
    return `failed: ${faultOf(error)}`
  }
}
