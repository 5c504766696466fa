import { compactVerify, createLocalJWKSet } from 'jose'
import { describe, expect, it } from 'vitest'
import type { RecordDraft } from '../../src/domain/audit/audit-record.ts'
import { AuditUnavailable } from '../../src/domain/failures.ts'
import type { AuditLog } from '../../src/ports/audit-log.ts'

function draft(id: string): RecordDraft {
  return { v: 1, type: 'decision', id, dec: { out: 'refuse', code: 'budget_exceeded' } }
}

async function idsOf(log: AuditLog): Promise<readonly string[]> {
  const ids: string[] = []
  for await (const record of log.records()) if (record.type === 'decision') ids.push(record.id)
  return ids
}

/** What every audit log owes, whatever it writes to. */
export function auditLogContract(name: string, open: () => Promise<AuditLog>): void {
  describe(`${name} as an audit log`, () => {
    it('keeps the order of the calls, numbers records densely, and has each before it is acknowledged', async () => {
      await using log = await open()
      const ids = Array.from({ length: 200 }, (_, i) => `id-${i}`)
      const signed = await Promise.all(ids.map((id) => log.append(draft(id))))
      expect(await idsOf(log)).toEqual(ids)
      const [first] = signed
      expect(signed.map(({ seq }) => seq)).toEqual(ids.map((_, i) => first!.seq + i))
      expect(signed.every(({ timeMs }, i) => timeMs >= (signed[i - 1]?.timeMs ?? 0))).toBe(true)
    })

    it('gives a receipt that its public keys verify, only when asked', async () => {
      await using log = await open()
      expect((await log.append(draft('a'))).receipt).toBeUndefined()
      const { receipt, seq } = await log.append(draft('b'), { receipt: true })
      // The port promises keys as jose takes them.
      const keys = createLocalJWKSet(log.keys().jwks as Parameters<typeof createLocalJWKSet>[0])
      const { payload, protectedHeader } = await compactVerify(receipt!, keys, { algorithms: ['Ed25519'] })
      expect(protectedHeader).toMatchObject({ alg: 'Ed25519', typ: 'audit-receipt+jwt' })
      expect(JSON.parse(Buffer.from(payload).toString())).toMatchObject({
        iss: log.origin,
        seq,
        id: 'b',
        out: 'refuse',
        code: 'budget_exceeded',
      })
    })

    it('refuses a record that cannot be written as it is, and takes the next one', async () => {
      await using log = await open()
      await expect(log.append({ ...draft('a'), price: 1.5 })).rejects.toThrow('record.price: 1.5')
      await expect(log.append({ ...draft('b'), seq: 1 })).rejects.toThrow('only the log assigns it')
      await expect(log.append({ ...draft('c'), text: 'x'.repeat(70_000) })).rejects.toThrow(AuditUnavailable)
      await log.append(draft('d'))
      expect(await idsOf(log)).toEqual(['d'])
    })

    it('rejects what it has no room for, without losing what it took', async () => {
      await using log = await open()
      const all = Array.from({ length: 9000 }, (_, i) => log.append(draft(`id-${i}`)))
      expect(log.writable()).toBe(false)
      const results = await Promise.allSettled(all)
      const taken = results.filter(({ status }) => status === 'fulfilled')
      expect(taken.length).toBe(8192)
      expect(results.at(-1)).toMatchObject({ status: 'rejected', reason: expect.any(AuditUnavailable) })
      expect(log.writable()).toBe(true)
      expect(await idsOf(log)).toHaveLength(taken.length)
    })

    it('has written everything when it is disposed of, and then takes nothing more', async () => {
      const log = await open()
      const pending = Array.from({ length: 50 }, (_, i) => log.append(draft(`id-${i}`)))
      await log[Symbol.asyncDispose]()
      expect(await Promise.all(pending)).toHaveLength(50)
      expect(log.writable()).toBe(false)
      await expect(log.append(draft('late'))).rejects.toThrow(AuditUnavailable)
      await log[Symbol.asyncDispose]()
    })
  })
}
