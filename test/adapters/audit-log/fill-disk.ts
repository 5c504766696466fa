/** Appends until the disk takes no more, then says on standard output what was acknowledged. Run as a process of its own. */
import { join } from 'node:path'
import { openAuditLog } from '../../../src/adapters/audit-log/audit-log.ts'

const BATCHES_MAX = 500

const [, , data = ''] = process.argv
const log = await openAuditLog({ dir: join(data, 'audit'), deployment: 'gw.test', durability: 'disk' })
const acked: string[] = []
let rejected = 0
for (let batch = 0; batch < BATCHES_MAX && rejected === 0; batch += 1) {
  const drafts = Array.from({ length: 20 }, (_, i) => ({
    v: 1 as const,
    type: 'decision' as const,
    id: `${batch}-${i}`,
    dec: { out: 'admit', note: 'x'.repeat(200) },
  }))
  const results = await Promise.allSettled(drafts.map((draft) => log.append(draft)))
  for (const [i, { status }] of results.entries()) {
    if (status === 'fulfilled') acked.push(drafts[i]!.id)
    else rejected += 1
  }
}
process.stdout.write(JSON.stringify({ acked, rejected, writable: log.writable() }), () =>
  process.kill(process.pid, 'SIGKILL'),
)
