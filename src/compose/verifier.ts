import { createDocumentFetcher } from '../adapters/destinations/document.ts'
import { systemClock } from '../adapters/system/clock.ts'
import { createTokenVerifier } from '../adapters/tokens/verifier.ts'
import type { Policy } from '../domain/policy/policy.ts'
import type { TokenVerifier } from '../ports.ts'
import type { Events } from '../ports/events.ts'
import type { BuiltinIssuer } from './issuer.ts'

interface Inputs {
  readonly policy: Policy
  readonly issuer: BuiltinIssuer | undefined
  readonly events: Events
}

/** Verification against the issuers of the policy; key sets by URL are fetched through the guard of destinations. */
export function openVerifier({ policy, issuer, events }: Inputs, parts: AsyncDisposableStack): TokenVerifier {
  const documents = parts.use(createDocumentFetcher({ allowPrivate: () => policy.destinations.allowPrivate }))
  return parts.use(
    createTokenVerifier({
      issuers: () => policy.issuers,
      clock: systemClock,
      fetchDocument: (url, limits) => documents.fetch(url, limits),
      report: (name, problem) => events.issuerKeysFailed(name, problem),
      ...(issuer && { builtin: issuer }),
    }),
  )
}
