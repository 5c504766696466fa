import type { RequestHandler } from 'express'
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
      { name: 'audit', ok: readiness.auditLog.writable() },
      { name: 'ledger', ok: await answers(readiness.ledger) },
      { name: 'not-draining', ok: !readiness.draining() },
    ]
    const ok = checks.every((check) => check.ok)
    response.status(ok ? 200 : 503).type('text/plain')
    const lines = checks.map((check) => (check.ok ? `[+]${check.name} ok` : `[-]${check.name} failed`))
    response.send('verbose' in request.query ? `${lines.join('\n')}\n` : ok ? 'ok' : 'not ready')
  }
}

async function answers(ledger: Ledger): Promise<boolean> {
  try {
    await ledger.ping()
    return true
  } catch {
    return false
  }
}
