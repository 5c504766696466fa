import type { Call } from '../domain/call.ts'
import type { Identity } from '../domain/identity.ts'
import { refuse } from '../domain/refusal.ts'
import type { Refusal } from '../domain/refusal.ts'
import { RUN_HEADER, nameRun } from '../domain/ledger/run.ts'
import type { TokenRejected, World } from '../ports.ts'

/** What authentication came to; a failure keeps the issuer's name for the record. */
export type Authenticated =
  | { readonly kind: 'identified'; readonly identity: Identity }
  | { readonly kind: 'unidentified'; readonly refusal: Refusal; readonly issuer: string | undefined }

/** Credential -> identity. The caller learns only expired, wrong audience or not accepted; the record says why. */
export async function authenticate(call: Call, world: Pick<World, 'verifier' | 'rules'>): Promise<Authenticated> {
  const { credential } = call
  if (credential.kind === 'missing') {
    return unidentified(
      refuse(
        'unauthenticated',
        'No credential. Send a token as "Authorization: Bearer <token>" or "x-api-key: <token>".',
        {
          reason: 'missing',
        },
      ),
    )
  }
  if (credential.kind === 'conflict') {
    return unidentified(
      refuse(
        'credentials_conflict',
        'Authorization and x-api-key carry different credentials. Send one of them, or the same in both.',
        { reason: 'conflict' },
      ),
    )
  }
  const verdict = await world.verifier.verify(credential.token)
  if (verdict.kind === 'verified') return withRun(verdict.identity, call, world)
  return unidentified(rejected(verdict), verdict.issuer)
}

/** A caller whose header names a run that it may not name is not taken for one without a run: it would count for no run. */
function withRun(identity: Identity, { run }: Call, world: Pick<World, 'rules'>): Authenticated {
  if (run === undefined) return { kind: 'identified', identity }
  const issuer = world.rules.policy().issuers.find(({ name }) => name === identity.issuer)
  const named = nameRun(identity, run, issuer?.runHeader ?? false)
  if (named.kind === 'named') return { kind: 'identified', identity: named.identity }
  const { reason, problem } = named
  return unidentified(
    refuse('invalid_request', `The header ${RUN_HEADER} ${problem}.`, { field: RUN_HEADER, reason }),
    identity.issuer,
  )
}

function unidentified(refusal: Refusal, issuer?: string): Authenticated {
  return { kind: 'unidentified', refusal, issuer }
}

function rejected(verdict: TokenRejected): Refusal {
  const { reason } = verdict
  switch (verdict.public) {
    case 'expired':
      return refuse('token_expired', 'The token has expired. Fetch a new one.', { reason })
    case 'wrong_audience':
      return refuse('unauthenticated', 'The token is not meant for this gateway (wrong audience).', { reason })
    case 'not_accepted':
      return refuse('unauthenticated', 'The token was not accepted.', { reason })
  }
}
