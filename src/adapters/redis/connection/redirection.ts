/**
 * A server of a Cluster says that another one has the keys: `MOVED 3999 127.0.0.1:6381` for good, `ASK …` for this one
 * command while the slot is on its way. Nothing was carried out.
 */
import { LedgerUnavailable } from '../../../domain/failures.ts'

/** Where a server listens. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** What a caller sees that does not follow it: one Redis was configured, and a Cluster answered. */
export class Redirected extends LedgerUnavailable {
  readonly to: Endpoint
  readonly slot: number
  /** For this command alone. */
  readonly isAsk: boolean

  constructor(details: { readonly to: Endpoint; readonly slot: number; readonly isAsk: boolean }) {
    super('Redis: the server belongs to a Redis Cluster; set ledger.kind to redis-cluster', { maybeDone: false })
    this.to = details.to
    this.slot = details.slot
    this.isAsk = details.isAsk
  }
}

/** The host is empty when the server does not know its own name; then it is where it was asked. */
const REDIRECTION = /^(MOVED|ASK) (\d{1,5}) (.*):(\d{1,5})$/

export function redirectionOf({ message }: Error): Redirected | undefined {
  const match = REDIRECTION.exec(message)
  if (match === null) return undefined
  const [, kind, slot, host = '', port] = match
  return new Redirected({ to: { host, port: Number(port) }, slot: Number(slot), isAsk: kind === 'ASK' })
}
