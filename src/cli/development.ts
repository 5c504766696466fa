import { writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { BuiltinIssuer } from '../compose/issuer.ts'
import type { Config } from '../config/config.ts'

/** One token for each kind of person the gateway has. */
export interface DevelopmentTokens {
  readonly agent: string
  readonly finance: string
  readonly compliance: string
  readonly admin: string
}

/** A working day: long enough for a tour, too short to end up in a script. */
const TOKEN_TTL_SECONDS = 12 * 3_600

const TOKEN_FILE = 'token'

/** Tokens for the tour; the agent's is also left in a file that only its owner can read, so that commands stay short. */
export async function issueDevelopmentTokens(
  issuer: BuiltinIssuer | undefined,
  config: Pick<Config, 'dataDir'>,
): Promise<DevelopmentTokens | undefined> {
  if (issuer === undefined) return undefined
  const issue = (role: string, agent: string, user: string) =>
    issuer.issue({
      tenant: 'demo',
      team: 'demo-team',
      user,
      agent,
      roles: [role],
      classification: 'internal',
      ttlSeconds: TOKEN_TTL_SECONDS,
    })
  const tokens = {
    agent: await issue('agent', 'demo-agent', 'ada'),
    finance: await issue('finance', 'demo-reports', 'fiona'),
    compliance: await issue('compliance', 'demo-reports', 'carl'),
    admin: await issue('admin', 'demo-admin', 'alex'),
  }
  await writeFile(join(config.dataDir, TOKEN_FILE), `${tokens.agent}\n`, { mode: 0o600 })
  return tokens
}

/** What a newcomer sees: where it is, a token, and three lines to paste. */
export function welcome(url: string, tokens: DevelopmentTokens, config: Pick<Config, 'dataDir'>): string {
  const data = relative(process.cwd(), config.dataDir)
  const folder = data.startsWith('..') ? config.dataDir : data
  const call = (model: string) =>
    `curl -sS ${url}/v1/chat/completions -H "authorization: Bearer $(cat ${join(folder, TOKEN_FILE)})" ` +
    `-H "content-type: application/json" -d '{"model":"${model}","messages":[{"role":"user","content":"Hello"}]}'`
  return `
Tollgate is listening.

  OPENAI_BASE_URL=${url}/v1
  ANTHROPIC_BASE_URL=${url}

A token for agent "demo-agent" of team "demo-team" (also in ${join(folder, TOKEN_FILE)}, good for 12 hours):

${tokens.agent}

Three lines to paste into another terminal, here in this folder:

1. a call, answered by the built-in simulator
   ${call('sim-small')}

2. a call that its budget refuses
   ${call('sim-expensive')}

3. the signed record of both
   npx tollgate audit verify --data ${folder}
`
}
