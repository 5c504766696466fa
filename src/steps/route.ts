import type { Admitted } from '../domain/decision.ts'
import { maximumSet } from '../domain/prices/estimate.ts'
import { refuse } from '../domain/refusal.ts'
import type { Refusal } from '../domain/refusal.ts'
import type { Ending, EndingWord } from '../domain/settlement.ts'
import type { Dialect } from '../domain/dialect.ts'
import { UpstreamFailure } from '../domain/failures.ts'
import type { Sink, UpstreamReply, World } from '../ports.ts'
import { collect } from './route/collect.ts'
import { relay } from './route/relay.ts'
import type { Relayed } from './route/relay.ts'

/** What became of the call at the provider. */
export type Routed =
  /** No answer to pass on. */
  | { readonly kind: 'failed'; readonly refusal: Refusal; readonly ending: Ending }
  /** A whole answer, the provider's own refusal included. */
  | {
      readonly kind: 'answered'
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly body: Uint8Array
      readonly ending: Ending
    }
  /** A stream: `relay` passes it on and says how it ended. */
  | {
      readonly kind: 'streaming'
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly relay: (sink: Sink) => Promise<Ending>
    }

/**
 * How long a call goes on after its caller has left, to learn what it really used: as long as an upstream may take. A
 * whole answer that has not come by then is charged at its bound, a stream for what it sent.
 */
const DRAIN_AFTER_LEAVING_MS = 600_000

interface Route {
  readonly admitted: Admitted
  readonly dialect: Dialect
  readonly world: Pick<World, 'upstreams' | 'clock' | 'events'>
  /** Aborted when the caller leaves. */
  readonly gone: AbortSignal
  /** Aborted when the call must not go on: its decision could not be put on record, or its caller left long ago. */
  readonly stop: AbortController
}

/** Sends the call to its upstream; resolves when the answer is whole or its stream has begun. */
export async function route(input: Route): Promise<Routed> {
  const { admitted, world } = input
  const abort = drainLimit(input)
  try {
    const reply = await send(input)
    const streams = reply.status < 300 && isEventStream(reply)
    if (streams) return stream(input, reply, abort)
    const collected = await collect(reply.body)
    abort.release()
    return answered(input, reply, collected)
  } catch (error) {
    abort.release()
    if (!(error instanceof UpstreamFailure)) throw error
    world.events.upstreamFailed(admitted.facts.target.upstream.name, error.kind)
    return failed(input, error)
  }
}

function send(input: Route): Promise<UpstreamReply> {
  const { facts } = input.admitted
  const body = input.dialect.forward(facts.ask, {
    model: facts.target.model,
    outputTokensMax: maximumSet(facts.estimate),
    includeUsage: facts.ask.stream && !facts.ask.wantsStreamUsage,
  })
  return input.world.upstreams.send({
    upstream: facts.target.upstream,
    dialect: facts.ask.dialect,
    body,
    stream: facts.ask.stream,
    headers: facts.call.wireHeaders,
    signal: input.stop.signal,
  })
}

interface DrainLimit {
  release(): void
}

/** Stops the call some time after its caller has gone; what came until then has been followed to its usage. */
function drainLimit({ gone, stop }: Route): DrainLimit {
  let timer: NodeJS.Timeout | undefined
  let isReleased = false
  const onGone = () => {
    if (!isReleased) timer = setTimeout(() => stop.abort(), DRAIN_AFTER_LEAVING_MS).unref()
  }
  if (gone.aborted) onGone()
  else gone.addEventListener('abort', onGone, { once: true })
  const release = () => {
    isReleased = true
    clearTimeout(timer)
  }
  return { release }
}

function isEventStream(reply: UpstreamReply): boolean {
  return (reply.headers['content-type'] ?? '').startsWith('text/event-stream')
}

function isJson(reply: UpstreamReply): boolean {
  return (reply.headers['content-type'] ?? '').includes('json')
}

/** The provider's own refusal and a whole answer alike: passed on byte for byte. */
function answered(input: Route, reply: UpstreamReply, body: Uint8Array): Routed {
  const { status, headers } = reply
  const good = status < 300
  if (good && !isJson(reply)) {
    // A 200 that is neither JSON nor a stream reads as an empty success in some clients: never pass it on.
    const failure = new UpstreamFailure('unexpected content type', { kind: 'bad_response', sent: true })
    return failed(input, failure)
  }
  const word: EndingWord = good ? (input.gone.aborted ? 'client_abort' : 'ok') : wordOf(status)
  const ending = {
    ...blank(input, word, status),
    // A 4xx is given before any token; a 5xx may come after work was done.
    consumed: status >= 300 && status < 500 ? ('nothing' as const) : ('maybe' as const),
    usage: good ? input.dialect.usageOf(body) : undefined,
    outputTexts: () => (good ? input.dialect.outputTextsOf(body) : []),
    upstreamRequestId: reply.requestId,
  }
  return { kind: 'answered', status, headers, body, ending }
}

function wordOf(status: number): EndingWord {
  return status < 500 ? 'upstream_refused' : 'upstream_error'
}

function stream(input: Route, reply: UpstreamReply, abort: DrainLimit): Routed {
  const firstByteMs = input.world.clock.nowMs() - input.admitted.facts.call.startedAtMs
  const run = async (sink: Sink): Promise<Ending> => {
    const reader = input.dialect.streamReader(input.admitted.facts.ask)
    const relayed = await relay(reply.body, reader, sink, () =>
      input.dialect.errorFrame(refuse('upstream_unavailable', brokenStream), input.admitted.facts.call.id),
    )
    abort.release()
    const summary = reader.summary()
    return {
      ...blank(input, streamWord(relayed, input.gone.aborted), reply.status),
      usage: summary.usage,
      truncated: !summary.complete,
      outputTexts: () => reader.outputTexts(),
      outputBytesBeyond: reader.outputBytesBeyond(),
      upstreamRequestId: reply.requestId,
      firstByteMs,
    }
  }
  return { kind: 'streaming', status: reply.status, headers: reply.headers, relay: run }
}

const brokenStream = 'The upstream broke off the stream. What was used until then is charged.'

function streamWord(relayed: Relayed, gone: boolean): EndingWord {
  if (relayed === 'broken' && !gone) return 'upstream_error'
  return gone ? 'client_abort' : 'ok'
}

function failed(input: Route, failure: UpstreamFailure): Routed {
  const timeout = failure.kind === 'timeout'
  const refusal = timeout
    ? refuse('upstream_timeout', 'The upstream did not answer in time.', { reason: failure.kind })
    : refuse('upstream_unavailable', 'The upstream could not be reached or gave no usable answer.', {
        reason: failure.kind,
      })
  const word: EndingWord = timeout ? 'timeout' : input.gone.aborted ? 'client_abort' : 'upstream_error'
  const consumed = failure.sent ? ('maybe' as const) : ('nothing' as const)
  const givenUp = failure.kind === 'aborted'
  return { kind: 'failed', refusal, ending: { ...blank(input, word, timeout ? 504 : 502), consumed, givenUp } }
}

/** An ending with nothing learned yet. */
function blank(input: Route, word: EndingWord, status: number): Ending {
  return {
    word,
    consumed: 'maybe',
    usage: undefined,
    outputTexts: () => [],
    outputBytesBeyond: 0,
    status,
    upstreamRequestId: undefined,
    totalMs: input.world.clock.nowMs() - input.admitted.facts.call.startedAtMs,
    firstByteMs: undefined,
  }
}
