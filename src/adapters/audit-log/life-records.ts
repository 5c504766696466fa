/** The records of a log's own life: made, taken up, taken up after a crash, closed. */
import { randomBytes } from 'node:crypto'
import { recordParts } from '../../domain/audit/audit-record.ts'
import type { RecordDraft } from '../../domain/audit/audit-record.ts'
import type { Durability, Entry } from './messages.ts'
import type { LogState } from './recover.ts'

/** `genesis` begins a log and `recover` says that nobody closed it; `open` follows either. */
export function openingEntries(start: {
  readonly vkey: string
  readonly state: LogState
  readonly durability: Durability
  readonly nowMs: number
}): readonly Entry[] {
  const { state, durability, nowMs } = start
  const size = state.frontier.size
  const id = () => timeOrderedId(nowMs)
  const drafts: RecordDraft[] = []
  if (size === 0) drafts.push({ v: 1, type: 'genesis', id: id(), vkey: start.vkey })
  else if (state.lastType !== 'close') {
    drafts.push({ v: 1, type: 'recover', id: id(), torn_bytes: state.tornBytes, prev_size: size, clean: false })
  }
  drafts.push({ v: 1, type: 'open', id: id(), durability })
  return drafts.map(entryOf)
}

export function closeEntry(nowMs: number): Entry {
  return entryOf({ v: 1, type: 'close', id: timeOrderedId(nowMs) })
}

function entryOf(draft: RecordDraft): Entry {
  return { parts: recordParts(draft), settles: { kind: 'neither' }, receipt: undefined }
}

/** UUIDv7 (RFC 9562 section 5.7): 48 bits of time, version, variant, the rest random. */
function timeOrderedId(nowMs: number): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(nowMs, 0, 6)
  bytes.writeUInt8((bytes.readUInt8(6) % 0x10) + 0x70, 6)
  bytes.writeUInt8((bytes.readUInt8(8) % 0x40) + 0x80, 8)
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
