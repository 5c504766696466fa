import { describe, expect, it } from 'vitest'
import { addressFault } from '../../../src/adapters/destinations/address.ts'
import { checkDestination } from '../../../src/adapters/destinations/destination.ts'

const problemOf = (url: string, allow?: readonly string[], allowPrivate: readonly string[] = []) => {
  const verdict = checkDestination(url, { allow, allowPrivate })
  return verdict.kind === 'ok' ? undefined : verdict.problem
}

describe('a destination', () => {
  it('is an https URL of an allowed host', () => {
    for (const url of ['https://api.openai.com/v1', 'https://API.OpenAI.com:8443/v1', 'https://api.openai.com./v1']) {
      expect(problemOf(url, ['api.openai.com'])).toBeUndefined()
    }
    expect(problemOf('https://api.openai.com/v1', ['API.OPENAI.COM.'])).toBeUndefined()
  })

  it.each([
    'https://api.openai.com.evil.example/',
    'https://evil.example/?api.openai.com',
    'https://xapi.openai.com/',
    'https://openai.com/',
    'https://api.openai.com..',
  ])('%s is not the allowed api.openai.com', (url) => {
    expect(problemOf(url, ['api.openai.com'])).toMatch(/is not in destinations\.allow/)
  })

  it('an empty list allows nothing', () => {
    expect(problemOf('https://api.openai.com/', [])).toMatch(/is not in destinations\.allow/)
  })

  it.each([
    ['ftp://api.openai.com/', /scheme ftp: is not supported; use https:/],
    ['file:///etc/passwd', /scheme file:/],
    ['data:text/plain,x', /scheme data:/],
    ['https://user@api.openai.com/', /user name or password/],
    ['https://:secret@api.openai.com/', /user name or password/],
    ['https://api.openai.com:0/', /port 0/],
    ['api.openai.com', /not a URL/],
    ['https://', /not a URL/],
    ['https://[fe80::1%25eth0]/', /not a URL/],
    [`https://${'x'.repeat(3_000)}.example`, /longer than 2048/],
  ])('%s is refused', (url, problem) => {
    expect(problemOf(url)).toMatch(problem)
  })

  it('a password is not repeated in the problem', () => {
    expect(problemOf('https://user:hunter2@api.openai.com/')).not.toContain('hunter2')
  })

  it.each([
    'https://127.0.0.1/',
    'https://0x7f.1/',
    'https://2130706433/',
    'https://017700000001/',
    'https://127。0。0。1/',
    'https://１２７.0.0.1/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[2002:7f00:1::]/',
    'https://0.0.0.0/',
    'https://169.254.169.254/latest/meta-data/',
  ])('%s is an address of ours in one of its spellings, and refused', (url) => {
    expect(problemOf(url)).toMatch(/is an? .*address/)
  })

  it('http is for loopback that allowPrivate covers', () => {
    expect(problemOf('http://127.0.0.1:8000/v1', undefined, ['127.0.0.0/8'])).toBeUndefined()
    expect(problemOf('http://[::1]:8000/v1', undefined, ['::1'])).toBeUndefined()
    expect(problemOf('http://localhost:8000/v1', undefined, ['127.0.0.1/32'])).toBeUndefined()
    expect(problemOf('http://127.0.0.1:8000/v1')).toMatch(/allowPrivate does not cover it/)
    expect(problemOf('http://localhost:8000/v1')).toMatch(/^http: is accepted for loopback/)
    expect(problemOf('http://10.0.0.1/', undefined, ['10.0.0.0/8'])).toMatch(/^http: is accepted for loopback/)
    expect(problemOf('http://api.openai.com/')).toMatch(/use https:/)
    expect(problemOf('http://127.0.0.1.example/', undefined, ['127.0.0.0/8'])).toMatch(/use https:/)
  })

  it('an allowed address is one address, however it is written in the policy', () => {
    const anywhere = ['0.0.0.0/0', '::/0']
    expect(problemOf('https://127.0.0.1/', ['127.1'], anywhere)).toBeUndefined()
    expect(problemOf('https://[::1]/', ['0:0:0:0:0:0:0:1'], anywhere)).toBeUndefined()
    expect(problemOf('https://[::1]/', ['[::1]'], anywhere)).toBeUndefined()
  })
})

describe('an address', () => {
  it.each(['1.1.1.1', '104.18.7.192', '2606:4700::6812:7c0', '::ffff:1.1.1.1'])('%s is public', (address) => {
    expect(addressFault(address, [])).toBeUndefined()
  })

  const REFUSED = `
    127.0.0.1 127.255.255.254 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 169.254.1.1 100.64.0.1
    100.100.100.200 0.0.0.0 192.0.2.1 198.18.0.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 ::
    ::1 fe80::1 fc00::1 fd00:ec2::254 fd20:ce::254 fec0::1 ff02::1 ::ffff:10.0.0.1 64:ff9b::a00:1
    64:ff9b:1::1 2002:a00:1:: 2001::1 2001:db8::1 100::1 168.63.129.16 169.254.169.254
    ::ffff:169.254.169.254 fe80::1%eth0 not-an-address`

  it.each(['', ...REFUSED.trim().split(/\s+/)])('%s is refused', (address) => {
    expect(addressFault(address, [])).toMatch(/address/)
  })

  it('a zone id is refused even where its range is allowed: it names an interface of this machine', () => {
    expect(addressFault('fe80::1', ['fe80::/10'])).toBeUndefined()
    expect(addressFault('fe80::1%eth0', ['fe80::/10'])).toMatch(/is not an IP address/)
  })

  it('a private range can be allowed, and opens nothing beside it', () => {
    expect(addressFault('10.20.3.4', ['10.20.0.0/16'])).toBeUndefined()
    expect(addressFault('::ffff:10.20.3.4', ['10.20.0.0/16'])).toBeUndefined()
    expect(addressFault('fd12::7', ['fd12::/48'])).toBeUndefined()
    expect(addressFault('10.21.3.4', ['10.20.0.0/16'])).toMatch(/private/)
    expect(addressFault('fd13::7', ['10.0.0.0/8', 'fd12::/48'])).toMatch(/uniqueLocal/)
    expect(addressFault('10.0.0.1', ['nonsense', '', '10.0.0.0/99'])).toMatch(/private/)
  })

  it.each(['169.254.169.254', '168.63.129.16', '100.100.100.200', 'fd00:ec2::254'])(
    'the platform address %s is opened by its own name, and by no range',
    (address) => {
      expect(addressFault(address, ['0.0.0.0/0', '::/0', '169.254.0.0/16', 'fd00::/8'])).toMatch(/metadata/)
      expect(addressFault(address, [address])).toBeUndefined()
    },
  )

  it.each(['0.0.0.0', '::', '224.0.0.1', '255.255.255.255', 'ff02::1'])('%s cannot be opened at all', (address) => {
    expect(addressFault(address, ['0.0.0.0/0', '::/0', address])).toMatch(/unspecified|multicast|broadcast/)
  })
})
