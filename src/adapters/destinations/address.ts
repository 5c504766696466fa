/** Which addresses the gateway may connect to. */
import ipaddr from 'ipaddr.js'

/**
 * Services of cloud platforms that hand credentials to whoever asks from inside. They are let through only when
 * `allowPrivate` names exactly this address: a wide range must not open them by accident. Azure's platform address
 * 168.63.129.16 is in public space, so no range tells it.
 */
const PLATFORM_ADDRESSES: ReadonlySet<string> = new Set([
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  '168.63.129.16',
  '100.100.100.200',
  'fd00:ec2::254',
  'fd00:ec2::23',
  'fd20:ce::254',
])

/** Nobody's address: connecting to one reaches this machine, or everyone. */
const NEVER: ReadonlySet<string> = new Set(['unspecified', 'broadcast', 'multicast'])

type Address = ipaddr.IPv4 | ipaddr.IPv6

/**
 * Why an address must not be connected to, or undefined when it may be. `allowPrivate` holds CIDR ranges or single
 * addresses; text that is neither allows nothing.
 */
export function addressFault(text: string, allowPrivate: readonly string[]): string | undefined {
  const address = readAddress(text)
  if (address === undefined) return `${text} is not an IP address`
  const range = address.range()
  if (NEVER.has(range)) return `${text} is a ${range} address`
  if (PLATFORM_ADDRESSES.has(address.toString())) {
    const named = allowPrivate.some((entry) => isExactly(entry, address))
    return named ? undefined : `${text} is a platform's metadata address`
  }
  if (range === 'unicast' || isWithin(address, allowPrivate)) return undefined
  return `${text} is a ${range} address; destinations.allowPrivate does not cover it`
}

export function isLoopback(text: string): boolean {
  return readAddress(text)?.range() === 'loopback'
}

/** `process` turns IPv4-mapped IPv6 into the IPv4 address that it reaches. A zone id names an interface, never a host. */
function readAddress(text: string): Address | undefined {
  return !text.includes('%') && ipaddr.isValid(text) ? ipaddr.process(text) : undefined
}

function isWithin(address: Address, ranges: readonly string[]): boolean {
  return ranges.some((entry) => {
    const range = readRange(entry)
    return range !== undefined && range[0].kind() === address.kind() && address.match(range)
  })
}

function isExactly(entry: string, address: Address): boolean {
  const range = readRange(entry)
  const bits = address.kind() === 'ipv4' ? 32 : 128
  return range !== undefined && range[1] === bits && range[0].toString() === address.toString()
}

/** `10.20.0.0/16`, `fd12::/48`, or one address. */
function readRange(entry: string): [Address, number] | undefined {
  if (ipaddr.isValidCIDR(entry)) return ipaddr.parseCIDR(entry)
  const address = readAddress(entry)
  return address && [address, address.kind() === 'ipv4' ? 32 : 128]
}
