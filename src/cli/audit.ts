import type { Command } from 'commander'
import { addAuditQuery } from './audit-query.ts'
import { addAuditVerify } from './audit-verify.ts'
import type { Cli } from './output.ts'

/** `audit verify` and `audit query`. */
export function addAudit(program: Command, cli: Cli): void {
  const audit = program.command('audit').description('verify and read the signed log')
  addAuditVerify(audit, cli)
  addAuditQuery(audit, cli)
}
