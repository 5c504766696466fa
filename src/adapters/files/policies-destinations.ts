/**
 * Whether the addresses in a set may be called at all, as far as their text tells. What their names resolve to is checked
 * again at every connection.
 */
import { BlockList, isIP } from 'node:net'
import type { JoinedSet, Placed } from './policies-join.ts'
import type { Place, Report } from './policies-problem.ts'

/** Addresses of this machine, of private networks, and of cloud metadata services. */
const PRIVATE: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
]

const LOOPBACK: readonly (readonly [string, number])[] = [
  ['127.0.0.0', 8],
  ['::1', 128],
]

const privateRanges = rangesOf(PRIVATE)
const loopbackRanges = rangesOf(LOOPBACK)

export function checkDestinations(set: JoinedSet, report: Report): void {
  for (const { part, place } of set.allow) {
    if (hostOf(part) !== undefined) continue
    report(place, { code: 'P040', message: 'expected a host name or an IP address: no scheme, port, path or *' })
  }
  const allowPrivate = privateAllowance(set.allowPrivate, report)
  const allow = new Set(set.allow.map(({ part }) => hostOf(part)))
  for (const { part, place } of set.upstreams) {
    if (part.provider === 'simulator') continue
    const fault = faultOf(part.baseUrl, allowPrivate)
    const host = hostOf(new URL(part.baseUrl).hostname)
    if (fault !== undefined) report(place, { code: 'P040', path: ['baseUrl'], message: fault })
    else if (!allow.has(host)) {
      report(place, { code: 'P040', path: ['baseUrl'], message: `add ${host ?? 'its host'} to destinations.allow` })
    }
  }
  for (const { part, place } of set.issuers) {
    if (part.builtin === true || part.jwks.uri === undefined) continue
    const fault = faultOf(part.jwks.uri, allowPrivate)
    if (fault !== undefined) report(place, { code: 'P040', path: ['jwks', 'uri'], message: fault })
  }
}

/** The host as URLs write it (lower case, dotted, without a trailing dot), or undefined when the text is not just a host. */
function hostOf(text: string): string | undefined {
  const bare = text.replace(/^\[|\]$/g, '')
  const written = isIP(bare) === 6 ? `[${bare}]` : bare
  if (!/^[A-Za-z0-9.[\]:-]{1,255}$/.test(written) || !URL.canParse(`https://${written}/`)) return undefined
  const { hostname, port } = new URL(`https://${written}/`)
  if (port !== '' || (written.includes(':') && isIP(bare) !== 6)) return undefined
  return hostname.replace(/\.$/, '')
}

function faultOf(text: string, allowPrivate: BlockList): string | undefined {
  const url = new URL(text)
  const host = url.hostname.replace(/\.$/, '')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'expected an https: URL'
  if (url.username !== '' || url.password !== '') return 'must not carry a user or password: use keys with a secret'
  if (url.search !== '' || url.hash !== '') return 'must not carry a query or a fragment'
  const addresses = host === 'localhost' ? ['127.0.0.1', '::1'] : [host.replace(/^\[|\]$/g, '')]
  const isAllowed = addresses.some((address) => contains(allowPrivate, address))
  if (url.protocol === 'http:' && !addresses.every((address) => contains(loopbackRanges, address))) {
    return 'http: is for loopback addresses only; use https:'
  }
  const isPrivate = addresses.some((address) => contains(privateRanges, address))
  return isPrivate && !isAllowed
    ? `add the range of ${host} to destinations.allowPrivate, or use a public address`
    : undefined
}

function privateAllowance(ranges: readonly Placed<string>[], report: Report): BlockList {
  const list = new BlockList()
  for (const { part, place } of ranges) addRange(list, part, place, report)
  return list
}

function addRange(list: BlockList, text: string, place: Place, report: Report): void {
  const [address = '', prefix, ...more] = text.split('/')
  const family = isIP(address)
  const bits = /^\d{1,3}$/.test(prefix ?? '') ? Number(prefix) : Number.NaN
  if (more.length === 0 && family !== 0 && bits <= (family === 4 ? 32 : 128)) {
    list.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6')
    return
  }
  report(place, { code: 'P040', message: 'expected an address range such as 10.20.0.0/16 or ::1/128' })
}

function rangesOf(ranges: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [address, bits] of ranges) list.addSubnet(address, bits, isIP(address) === 4 ? 'ipv4' : 'ipv6')
  return list
}

/** False for names: what they resolve to is not known here. */
function contains(list: BlockList, address: string): boolean {
  const family = isIP(address)
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
}
