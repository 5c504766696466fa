/**
 * What went wrong at Redis, as one word of a closed list, and whether the command can have been carried out all the same.
 */
import { LedgerUnavailable } from '../../../domain/failures.ts'
import type { LedgerFault } from '../../../domain/ledger/ledger-fault.ts'

/**
 * Codes with which Redis refuses a command before it writes anything. A script that meets one at its first write has not
 * written either: these states do not begin in the middle of a script.
 */
const REPLIES: Readonly<Record<string, LedgerFault>> = {
  LOADING: 'loading',
  OOM: 'out_of_memory',
  READONLY: 'read_only',
  MISCONF: 'cannot_persist',
  NOAUTH: 'not_authorized',
  WRONGPASS: 'not_authorized',
  NOPERM: 'not_authorized',
  CLUSTERDOWN: 'cluster_down',
  TRYAGAIN: 'moving',
  MASTERDOWN: 'primary_down',
  NOREPLICAS: 'no_replicas',
  BUSY: 'busy',
  NOSCRIPT: 'unverified',
}

/** Redis before 7 wraps what a script met: `ERR Error running script (…): @user_script: 9: -OOM command not …`. */
const CODE = /^(?:ERR Error running script .*? -)?([A-Z]+)\b/s

/** Faults of the system, by the code of the error. */
const ERRNO: Readonly<Record<string, LedgerFault>> = {
  ECONNREFUSED: 'connection_refused',
  ECONNRESET: 'connection_lost',
  EPIPE: 'connection_lost',
  ETIMEDOUT: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
}

/** What ioredis itself says of commands whose connection went away. */
const CONNECTION_LOST = /^(Connection is closed|Reached the max retries per request limit)/

/** What it says of a command that it did not send, because the connection is about to close. */
const NOT_WRITEABLE = /^Stream isn't writeable/

export function wasNeverSent(error: unknown): boolean {
  return error instanceof Error && NOT_WRITEABLE.test(error.message)
}

/** An error that Redis itself answered: the store is there, so the breaker has nothing to spare anybody. */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}

/** A primary that became a replica, or lost the one it copies: the address may lead to another server by now. */
export function mustReconnect(error: Error): boolean {
  const fault = replyFault(error)
  return fault === 'read_only' || fault === 'primary_down'
}

/** How far a command came. `isResent`: its connection changed under way, so ioredis may have sent it twice. */
export interface Progress {
  readonly wasSent: boolean
  readonly isResent?: boolean
}

/**
 * The one error that callers see. It has the message alone: ioredis hangs the command with its arguments on its errors,
 * and AUTH has the password there.
 */
export function unavailable(error: unknown, { wasSent, isResent = false }: Progress): LedgerUnavailable {
  const reply = isReply(error) ? replyFault(error) : undefined
  const maybeDone = wasSent && (isResent || reply === undefined)
  if (error instanceof LedgerUnavailable) {
    return new LedgerUnavailable(withPrefix(error.message), { fault: error.fault, maybeDone })
  }
  if (!(error instanceof Error)) return new LedgerUnavailable('Redis: unknown failure', { maybeDone })
  const cause = new Error(error.message)
  return new LedgerUnavailable(withPrefix(error.message), { fault: reply ?? otherFault(error), maybeDone, cause })
}

function withPrefix(message: string): string {
  return message.startsWith('Redis') ? message : `Redis: ${message}`
}

function replyFault({ message }: Error): LedgerFault | undefined {
  const code = CODE.exec(message)?.[1]
  return code === undefined || !Object.hasOwn(REPLIES, code) ? undefined : REPLIES[code]
}

function otherFault(error: Error): LedgerFault {
  const errno = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (Object.hasOwn(ERRNO, errno)) return ERRNO[errno] ?? 'unexpected'
  return CONNECTION_LOST.test(error.message) ? 'connection_lost' : 'unexpected'
}
