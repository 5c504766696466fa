/** Appends without end from many callers and prints each acknowledged id. Run as a process of its own, to be killed. */
import { join } from 'node:path'
import { openAuditLog } from '../../../src/adapters/audit-log/audit-log.ts'

const CALLERS = 64

const [, , data = '', prefix = ''] = process.argv
const log = await openAuditLog({
  dir: join(data, 'audit'),
  deployment: 'gw.test',
  durability: 'disk',
  checkpointMs: 20,
})
process.stdout.write(`log ${log.name}\n`)
let next = 0
await Promise.all(
  Array.from({ length: CALLERS }, async () => {
    for (;;) {
      const id = `${prefix}-${next}`
      next += 1
      await log.append({ v: 1, type: 'decision', id, dec: { out: 'admit' } })
      process.stdout.write(`${id}\n`)
    }
  }),
)
