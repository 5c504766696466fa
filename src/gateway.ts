/**
 * The whole story of one call: authenticate, estimate, reserve, route, settle, sign, and every exit from it.
 * Two laws hold on every path: whatever was reserved is settled, voided or expires; whatever was asked is on record.
 */
import { decideAccess } from './domain/policy/access.ts'
import type { Call } from './domain/call.ts'
import type { Admitted, Decision, Facts } from './domain/decision.ts'
import type { Dialect } from './domain/dialect.ts'
import type { Identity } from './domain/identity.ts'
import { widened } from './domain/prices/model-betas.ts'
import type { NanoUsd } from './domain/prices/money.ts'
import { refuse } from './domain/refusal.ts'
import type { Refusal } from './domain/refusal.ts'
import { isLocal } from './domain/ledger/reservation.ts'
import type { Ending, Settlement } from './domain/settlement.ts'
import type { Sink, World } from './ports.ts'
import type { Signed } from './ports/audit-log.ts'
import { authenticate } from './steps/authenticate.ts'
import { estimate, refine } from './steps/estimate.ts'
import { reserve } from './steps/reserve.ts'
import type { Refine } from './steps/reserve.ts'
import { route } from './steps/route.ts'
import type { Routed } from './steps/route.ts'
import { settle, settleAtBound } from './steps/settle.ts'
import { commit } from './steps/settle/commit.ts'
import { signAuthenticationFailure, signDecision } from './steps/sign.ts'

/** What the caller gets. */
export type Outcome =
  | (Declined & { readonly facts: Facts })
  | (Answer & { readonly kind: 'answered'; readonly body: Uint8Array; readonly cost: NanoUsd })
  | (Answer & { readonly kind: 'streaming'; readonly relay: (sink: Sink) => Promise<void> })

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly facts: Required<Facts>
}

/** Handles one call. `gone` is aborted when the caller leaves. Rejects only for a fault of our own. */
export async function handle(call: Call, dialect: Dialect, world: World, gone: AbortSignal): Promise<Outcome> {
  const facts: Facts = { call, policy: world.rules.policy(), prices: world.rules.prices() }
  const caller = await identify(call, world)
  if (caller.kind === 'refused') return { ...caller, facts }

  const decision = await decide({ ...facts, identity: caller.identity }, dialect, world)
  world.events.decided(decision, world.clock.nowMs() - call.startedAtMs)
  if (decision.kind === 'refused') {
    const refused = await onRecord(decision.refusal, () => signDecision(decision, world), world)
    return { ...refused, facts: decision.facts }
  }
  return tracked(serve(decision, dialect, world, gone), world)
}

/** Who is calling; a stranger is refused once that is on record. Routes that only tell the caller something use this alone. */
export async function identify(call: Call, world: World): Promise<Identified | Declined> {
  if (!world.auditLog.writable()) return unrecorded
  const caller = await authenticate(call, world)
  if (caller.kind === 'identified') return caller
  const { refusal, issuer } = caller
  world.events.authenticationFailed(issuer, refusal.reason ?? refusal.code)
  return onRecord(refusal, () => signAuthenticationFailure({ call, refusal, issuer }, world), world)
}

interface Identified {
  readonly kind: 'identified'
  readonly identity: Identity
}

interface Declined {
  readonly kind: 'refused'
  readonly refusal: Refusal
  readonly receipt: string | undefined
}

/** Reads what is asked, finds where it may go, bounds what it can cost, and reserves that. */
async function decide(
  facts: Facts & { readonly identity: Identity },
  dialect: Dialect,
  world: World,
): Promise<Decision> {
  const { call, policy, prices, identity } = facts
  const body = await call.readBody()
  if ('kind' in body) return { kind: 'refused', facts, refusal: body }
  const parsed = dialect.parse(body)
  if (parsed.kind === 'invalid') {
    return { kind: 'refused', facts, refusal: refuse('invalid_request', parsed.message, { field: parsed.field }) }
  }
  const { ask } = parsed
  const access = decideAccess(policy, identity, ask)
  if (access.kind === 'refused') return { kind: 'refused', facts: { ...facts, ask }, refusal: access }
  const { target } = access
  const listed = prices.find(target.upstream.provider, target.model)
  if (listed === undefined)
    return { kind: 'refused', facts: { ...facts, ask, target }, refusal: priceUnknown(ask.model) }
  const price = widened(listed, call.wireHeaders['anthropic-beta'])
  const known = { ...facts, ask, target, price }
  const limits = { outputTokensMax: access.outputTokensMax, nowMs: call.startedAtMs }
  const bound = estimate(ask, price, limits, world)
  if (bound.kind === 'refused') return { kind: 'refused', facts: known, refusal: bound }
  const counted: Refine = (short, charges, smallest) => refine({ ...known, smallest }, bound, short, charges, world)
  return reserve({ ...known, estimate: bound }, counted, world)
}

/** Sends an admitted call on its way while its decision is being written; the first byte waits for both. */
async function serve(admitted: Admitted, dialect: Dialect, world: World, gone: AbortSignal): Promise<Outcome> {
  const stop = new AbortController()
  world.openCalls.open(admitted.hold, () => stop.abort())
  const signed = signDecision(admitted, world).then(
    () => true,
    (error: unknown) => {
      world.events.auditFailed(error)
      stop.abort()
      return false
    },
  )
  const routed = await route({ admitted, dialect, world, gone, stop }).catch(async (error: unknown) => {
    await finish(admitted, lost(admitted, world), world)
    throw error
  })
  if (await signed) return answer(admitted, routed, world)
  await leave(admitted, world)
  return { ...unrecorded, facts: admitted.facts }
}

async function answer(admitted: Admitted, routed: Routed, world: World): Promise<Outcome> {
  const { facts } = admitted
  switch (routed.kind) {
    case 'failed':
      await finish(admitted, routed.ending, world)
      return { kind: 'refused', refusal: routed.refusal, receipt: undefined, facts }
    case 'answered': {
      const { status, body } = routed
      const headers = { ...routed.headers, ...standInHeader(admitted) }
      const { cost } = await finish(admitted, routed.ending, world)
      return { kind: 'answered', status, headers, body, cost, facts }
    }
    case 'streaming': {
      const { status } = routed
      const headers = { ...routed.headers, ...standInHeader(admitted) }
      const relay = async (sink: Sink) => {
        const ending = await routed.relay(sink).catch(() => lost(admitted, world))
        await finish(admitted, ending, world)
      }
      return { kind: 'streaming', status, headers, relay: (sink) => tracked(relay(sink), world), facts }
    }
  }
}

/** Says that the ledger was away, and that this node decided within its share. */
function standInHeader({ hold }: Admitted): Readonly<Record<string, string>> {
  return isLocal(hold.id) ? { 'x-tollgate-ledger': 'local' } : {}
}

/**
 * Ends a call whose decision could not be put on record. It may have reached its upstream, so its hold is neither freed nor
 * settled by a record that would refer to nothing: it expires to what it held, and the look at expired holds puts that on
 * record as soon as the log takes records again. What this node decided on its own expires nowhere, and is settled here.
 */
async function leave(admitted: Admitted, world: World): Promise<void> {
  const { id } = admitted.hold
  if (isLocal(id)) return void (await finish(admitted, lost(admitted, world), world))
  for (const store of ['ledger', 'audit'] as const) world.openCalls.done(id, store, false)
}

/** Settles and signs; resolves as soon as the cost is known, the writing goes on by itself. */
async function finish(admitted: Admitted, ending: Ending, world: World): Promise<Settlement> {
  const settlement = await settle(admitted, ending, world).catch((error: unknown) => {
    world.events.unexpected('settle', error)
    return settleAtBound(admitted, ending)
  })
  world.openCalls.track(commit(settlement, world))
  world.events.settled(settlement)
  return settlement
}

/** Shutdown waits for it: a caller that has left takes its connection along, but not what its call still has to settle. */
function tracked<Result>(work: Promise<Result>, world: World): Promise<Result> {
  world.openCalls.track(work)
  return work
}

/** A refusal is answered once its record is durable; what cannot be put on record is not decided. */
async function onRecord(refusal: Refusal, sign: () => Promise<Signed>, world: World): Promise<Declined> {
  try {
    const { receipt } = await sign()
    return { kind: 'refused', refusal, receipt }
  } catch (error) {
    world.events.auditFailed(error)
    return unrecorded
  }
}

const unrecorded: Declined = {
  kind: 'refused',
  refusal: refuse('audit_unavailable', 'Decisions cannot be put on record right now. Try again shortly.'),
  receipt: undefined,
}

function priceUnknown(model: string): Refusal {
  return refuse(
    'price_unknown',
    `The model ${model} has no price, so its cost cannot be bounded. Ask your administrator to add it to pricing/.`,
    { field: 'model' },
  )
}

/** The ending of a call about which nothing was learned: what was held is charged. */
function lost(admitted: Admitted, world: World): Ending {
  return {
    word: 'upstream_error',
    consumed: 'maybe',
    givenUp: true,
    usage: undefined,
    outputTexts: () => [],
    outputBytesBeyond: 0,
    status: 500,
    upstreamRequestId: undefined,
    totalMs: world.clock.nowMs() - admitted.facts.call.startedAtMs,
    firstByteMs: undefined,
  }
}
