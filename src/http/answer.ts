import type { ServerResponse } from 'node:http'
import type { Dialect, RefusalContext } from '../domain/dialect.ts'
import { maximumSet } from '../domain/prices/estimate.ts'
import type { Estimate } from '../domain/prices/estimate.ts'
import { formatUsd } from '../domain/prices/money.ts'
import type { Refusal } from '../domain/refusal.ts'
import type { Outcome } from '../gateway.ts'
import { limitHeaders } from './limit-headers.ts'
import { createStreamSink } from './stream-sink.ts'

/** Writes what the gateway decided. Decides nothing itself. */
export async function writeOutcome(
  response: ServerResponse,
  outcome: Outcome,
  dialect: Dialect,
  context: Omit<RefusalContext, 'receipt'>,
): Promise<void> {
  if (outcome.kind === 'refused') {
    const headers = limitHeaders(outcome.facts, dialect.family, outcome.refusal)
    return writeRefusal(response, outcome.refusal, dialect, { ...context, receipt: outcome.receipt }, headers)
  }
  const headers = {
    ...outcome.headers,
    ...limitHeaders(outcome.facts, dialect.family),
    ...maximumHeader(outcome.facts.estimate),
    'x-request-id': context.requestId,
    'request-id': context.requestId,
  }
  if (outcome.kind === 'answered') {
    response.writeHead(outcome.status, {
      ...headers,
      'x-tollgate-cost-usd': formatUsd(outcome.cost),
      'content-length': outcome.body.length,
    })
    response.end(outcome.body)
    return
  }
  try {
    response.writeHead(outcome.status, { ...headers, 'cache-control': 'no-cache', 'x-accel-buffering': 'no' })
    response.flushHeaders()
  } catch (error) {
    // Whatever is wrong with the answer, the call has been made: it is followed to its end and settled all the same.
    response.destroy(error instanceof Error ? error : undefined)
  }
  await outcome.relay(createStreamSink(response, dialect.keepAlive))
}

/** Tells a caller that its answer has a maximum which it did not ask for. */
function maximumHeader(estimate: Estimate): Readonly<Record<string, string>> {
  const tokens = maximumSet(estimate)
  return tokens === undefined ? {} : { 'x-tollgate-output-granted': String(tokens) }
}

/** Writes a refusal in the caller's dialect; a caller that has left gets nothing. */
export function writeRefusal(
  response: ServerResponse,
  refusal: Refusal,
  dialect: Dialect,
  context: RefusalContext,
  extra: Readonly<Record<string, string>> = {},
): void {
  if (response.destroyed || response.headersSent) return
  const rendered = dialect.renderRefusal(refusal, context)
  const body = Buffer.from(rendered.body)
  response.writeHead(rendered.status, { ...extra, ...rendered.headers, 'content-length': body.length })
  response.end(body)
}
