/**
 * The outbound guard: a connection that leaves the gateway goes to an allowed host at an allowed address, or not at all.
 *
 * The host is checked before anything is resolved, since the resolver's hook is not asked about IP literals. Then every
 * address of the name is checked and one of exactly these is connected to, so that a second answer of the name server (DNS
 * rebinding) changes nothing. The address of the open socket is checked once more. All of it happens per connection: a
 * pooled connection stays where it was made. Environment proxies are not used: a proxy resolves names by itself.
 */
import { lookup } from 'node:dns'
import type { LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import type { LookupFunction, Socket } from 'node:net'
import { buildConnector } from 'undici'
import { addressFault, isLoopback } from './address.ts'
import { checkTarget, hostOf, LOOPBACK_NAME } from './destination.ts'
import type { DestinationRules } from './destination.ts'

/** The destination is not allowed; nothing was sent. */
export class DestinationRefused extends Error {
  override readonly name = 'DestinationRefused'
  readonly code = 'DESTINATION_REFUSED'
}

/** Finds every address of a name. */
export type Resolve = (
  hostname: string,
  callback: (error: Error | null, addresses: readonly LookupAddress[]) => void,
) => void

export interface GuardOptions {
  /** Asked on every connection, so that a policy counts as soon as it is in force. */
  readonly rules: () => DestinationRules
  readonly connectTimeoutMs?: number
  /** PEM certificates trusted instead of the system's, for private authorities. */
  readonly certificateAuthorities?: string
  readonly resolve?: Resolve
}

/** Name, TCP and TLS together; a healthy provider takes a tenth of it. */
const CONNECT_TIMEOUT_MS = 10_000

/** More addresses than any host needs: what is beyond is neither checked nor used. */
const ADDRESSES_MAX = 32

const systemResolve: Resolve = (hostname, callback) => {
  lookup(hostname, { all: true, order: 'verbatim' }, callback)
}

type Connector = buildConnector.connector

export function createGuardedConnector(options: GuardOptions): Connector {
  const { rules, connectTimeoutMs = CONNECT_TIMEOUT_MS, certificateAuthorities, resolve = systemResolve } = options
  const common = {
    timeout: connectTimeoutMs,
    allowH2: false,
    ...(certificateAuthorities === undefined ? {} : { ca: certificateAuthorities }),
  }
  const https = buildConnector({ ...common, lookup: guardedLookup({ rules, resolve, isPlain: false }) })
  const http = buildConnector({ ...common, lookup: guardedLookup({ rules, resolve, isPlain: true }) })
  return (target, callback) => {
    const hostname = hostOf(target.hostname)
    const verdict = checkTarget({ protocol: target.protocol, hostname }, rules())
    if (verdict.kind === 'fault') {
      callback(new DestinationRefused(`${hostname}: ${verdict.problem}`), null)
      return
    }
    const isPlain = target.protocol === 'http:'
    const connect = isPlain ? http : https
    connect({ ...target, hostname, ...serverNameOf(hostname) }, (...result) => {
      const [error, socket] = result
      const problem = error === null ? socketFault(socket, { allowPrivate: rules().allowPrivate, isPlain }) : undefined
      if (error !== null || problem === undefined) return callback(...result)
      socket.destroy()
      return callback(new DestinationRefused(`${hostname}: ${problem}`), null)
    })
  }
}

/** A certificate is for the name without its trailing dot; an IP literal has no server name (RFC 6066 section 3). */
function serverNameOf(hostname: string): { servername?: string } {
  return isIP(hostname) === 0 ? { servername: hostname } : {}
}

interface AddressRules {
  readonly allowPrivate: readonly string[]
  /** Without TLS nothing but loopback keeps a credential off the wire. */
  readonly isPlain: boolean
}

function faultOf(address: string, { allowPrivate, isPlain }: AddressRules): string | undefined {
  const problem = addressFault(address, allowPrivate)
  if (problem !== undefined || !isPlain || isLoopback(address)) return problem
  return `${address} is not a loopback address, and http: is for loopback alone`
}

function socketFault(socket: Pick<Socket, 'remoteAddress'>, rules: AddressRules): string | undefined {
  return socket.remoteAddress === undefined ? 'the connection closed at once' : faultOf(socket.remoteAddress, rules)
}

interface LookupOptions {
  readonly rules: () => DestinationRules
  readonly resolve: Resolve
  readonly isPlain: boolean
}

/** The resolver of a connection: answers checked addresses alone, and none at all when one of them is forbidden. */
function guardedLookup({ rules, resolve, isPlain }: LookupOptions): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, (error, found) => {
      if (error !== null) return callback(error, '')
      const addressRules = { allowPrivate: rules().allowPrivate, isPlain }
      const addresses = usable(hostname, found.slice(0, ADDRESSES_MAX), addressRules)
      const problem = addressesFault(addresses, addressRules)
      const [first] = addresses
      if (first === undefined || problem !== undefined) {
        return callback(new DestinationRefused(`${hostname}: ${problem ?? 'has no address'}`), '')
      }
      return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family)
    })
  }
}

/** Whether `localhost` has an IPv6 address is the machine's affair: a rule that covers one of its two is enough. */
function usable(hostname: string, found: readonly LookupAddress[], rules: AddressRules): LookupAddress[] {
  const covered = found.filter(({ address }) => faultOf(address, rules) === undefined)
  return hostname === LOOPBACK_NAME && covered.length > 0 ? covered : [...found]
}

function addressesFault(addresses: readonly LookupAddress[], rules: AddressRules): string | undefined {
  for (const { address } of addresses) {
    const problem = faultOf(address, rules)
    if (problem !== undefined) return problem
  }
  return undefined
}
