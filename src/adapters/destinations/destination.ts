/**
 * Which URLs the gateway may call: the part that needs no network, so that the check of a policy says the same as the
 * connection that is made later.
 */
import { isIP } from 'node:net'
import type { Destinations } from '../../domain/policy/policy.ts'
import { addressFault, isLoopback } from './address.ts'

/**
 * `allow` lists host names, exactly; undefined means that the URL itself was configured for this purpose and names the
 * host (a key set by URL). `allowPrivate` says which private addresses an allowed name may have.
 */
export type DestinationRules = Omit<Destinations, 'allow'> & { readonly allow: Destinations['allow'] | undefined }

export type DestinationVerdict =
  | { readonly kind: 'ok' }
  /** What is wrong with the URL, and what would be right. */
  | { readonly kind: 'fault'; readonly problem: string }

export interface Target {
  readonly protocol: string
  /** As in a URL or an HTTP client's options: IPv6 with or without brackets, a trailing dot or none. */
  readonly hostname: string
}

const OK: DestinationVerdict = { kind: 'ok' }

/** Longest URL that is looked at; real ones have a tenth of it. */
const URL_LENGTH_MAX = 2_048

/** Whether a configured URL may be called as far as its text tells; the addresses of a name are checked on connecting. */
export function checkDestination(url: string, rules: DestinationRules): DestinationVerdict {
  if (url.length > URL_LENGTH_MAX) return fault(`longer than ${URL_LENGTH_MAX} characters`)
  if (!URL.canParse(url)) return fault('not a URL; write it as https://host/path')
  const { protocol, hostname, username, password, port } = new URL(url)
  if (username !== '' || password !== '') {
    return fault('carries a user name or password; remove it and configure the credential as a secret')
  }
  if (port === '0') return fault('port 0 cannot be connected to')
  return checkTarget({ protocol, hostname }, rules)
}

export function checkTarget({ protocol, hostname }: Target, rules: DestinationRules): DestinationVerdict {
  if (protocol !== 'https:' && protocol !== 'http:') return fault(`scheme ${protocol} is not supported; use https:`)
  const host = hostOf(hostname)
  if (host === '') return fault('has no host')
  if (rules.allow !== undefined && !rules.allow.some((entry) => canonicalHost(entry) === host)) {
    return fault(`host ${host} is not in destinations.allow; add it there`)
  }
  if (isIP(host) !== 0) {
    const problem = addressFault(host, rules.allowPrivate)
    if (problem !== undefined) return fault(problem)
  }
  return protocol === 'http:' ? checkPlain(host, rules) : OK
}

/** `localhost` is loopback by definition (RFC 6761 section 6.3); any other name could be anywhere tomorrow. */
export const LOOPBACK_NAME = 'localhost'
const LOOPBACK_ADDRESSES = ['127.0.0.1', '::1']

function checkPlain(host: string, { allowPrivate }: DestinationRules): DestinationVerdict {
  const addresses = host === LOOPBACK_NAME ? LOOPBACK_ADDRESSES : [host]
  const covered = addresses.some((address) => isLoopback(address) && addressFault(address, allowPrivate) === undefined)
  if (covered) return OK
  return fault(
    `http: is accepted for loopback hosts that destinations.allowPrivate covers, and ${host} is none; use https:`,
  )
}

/** Lower case, without brackets and without the dot that makes `api.openai.com.` another text for the same host. */
export function hostOf(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
}

/** An entry of `allow` as a URL would write it: `127.1` and `0:0:0:0:0:0:0:1` have one spelling there. */
function canonicalHost(entry: string): string {
  const host = hostOf(entry)
  const url = isIP(host) === 6 ? `https://[${host}]/` : `https://${host}/`
  return URL.canParse(url) ? hostOf(new URL(url).hostname) : host
}

function fault(problem: string): DestinationVerdict {
  return { kind: 'fault', problem }
}
