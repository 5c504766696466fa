/**
 * Turns what the HTTP client reports into what the story knows. Messages name the upstream and never a header or a body.
 */
import { errors } from 'undici'

import { UpstreamFailure } from '../../domain/failures.ts'

export interface FailureContext {
  readonly upstream: string
  /** Whether the request had been handed to a connection. */
  readonly sent: boolean
  readonly signal: AbortSignal
}

export function toUpstreamFailure(error: unknown, { upstream, sent, signal }: FailureContext): UpstreamFailure {
  if (error instanceof UpstreamFailure) return error
  const kind = signal.aborted ? 'aborted' : kindOf(error, sent)
  return new UpstreamFailure(`upstream ${upstream}: ${SENTENCES[kind]}`, { kind, sent, cause: error })
}

const SENTENCES: Record<UpstreamFailure['kind'], string> = {
  connect: 'no connection could be made',
  timeout: 'it did not answer in time',
  reset: 'it broke the connection',
  aborted: 'the call was aborted',
  bad_response: 'its answer is not usable HTTP',
}

function kindOf(error: unknown, sent: boolean): UpstreamFailure['kind'] {
  if (!sent) return 'connect'
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError) return 'timeout'
  if (BAD_RESPONSES.some((type) => error instanceof type)) return 'bad_response'
  return 'reset'
}

const BAD_RESPONSES = [
  errors.HTTPParserError,
  errors.HeadersOverflowError,
  errors.ResponseContentLengthMismatchError,
  errors.ResponseExceededMaxSizeError,
] as const
