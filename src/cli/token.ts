import type { Command } from 'commander'
import { inspectToken, openIssuer } from '../compose/issuer.ts'
import type { Cli } from './output.ts'
import { json, UsageError } from './output.ts'
import { readSettings, withSettings } from './settings.ts'

interface IssueOptions {
  readonly config?: string
  readonly data?: string
  readonly tenant?: string
  readonly team?: string
  readonly user?: string
  readonly agent?: string
  readonly role?: readonly string[]
  readonly classification?: string
  readonly tier?: string
  readonly lane?: string
  readonly ttl: string
  readonly claim?: readonly string[]
}

const collect = (value: string, before: readonly string[] = []) => [...before, value]

/** `token issue` and `token inspect`. */
export function addToken(program: Command, cli: Cli): void {
  const token = program.command('token').description('issue and read tokens')
  withSettings(token.command('issue'))
    .description('print one token of the built-in issuer')
    .option('--tenant <name>')
    .option('--team <name>')
    .option('--user <name>', 'whom the token is about (sub)')
    .option('--agent <name>')
    .option('--role <name>', 'may be given several times', collect)
    .option('--classification <level>')
    .option('--tier <name>')
    .option('--lane <name>')
    .option('--ttl <duration>', 'life of the token, e.g. 15m, 1h, 12h', '1h')
    .option('--claim <k=v>', 'a further claim, may be given several times', collect)
    .action(async (options: IssueOptions) => issue(options, cli))
  token
    .command('inspect <token>')
    .description('decode a token without believing it; its signature is never shown')
    .action((text: string) => {
      const seen = inspectToken(text)
      if (seen === undefined) throw new UsageError('this is not a JWT: expected three base64url parts joined by dots')
      cli.terminal.out(json(seen))
    })
}

async function issue(options: IssueOptions, cli: Cli): Promise<void> {
  const opened = await openIssuer(readSettings({ ...options, configFile: options.config }))
  if (opened.kind === 'invalid') throw new UsageError(opened.problems.join('\n       '))
  const { tenant, team, user, agent, role, classification, tier, lane } = options
  const token = await opened.issuer.issue({
    ...defined({ tenant, team, user, agent, classification, tier, lane }),
    roles: role ?? [],
    ttlSeconds: seconds(options.ttl),
    claims: claimsOf(options.claim ?? []),
  })
  cli.terminal.out(token)
}

function defined(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }

function seconds(text: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(text)
  const unit = UNIT_SECONDS[match?.[2] ?? '']
  if (match === null || unit === undefined) throw new UsageError(`--ttl ${text}: a duration such as 15m, 1h or 12h`)
  return Number(match[1]) * unit
}

function claimsOf(pairs: readonly string[]): Record<string, string> {
  const claims: Record<string, string> = {}
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at < 1) throw new UsageError(`--claim ${pair}: write it as name=value`)
    claims[pair.slice(0, at)] = pair.slice(at + 1)
  }
  return claims
}
