/**
 * Process logs. Only listed fields are ever logged: call sites pass ids, codes and counts, and errors are reduced to name,
 * code and message, so neither content nor a credential has a way in. Redaction is the second net.
 */
import { pino } from 'pino'
import type { Logger } from 'pino'

export type { Logger } from 'pino'

const REDACTED = [
  'authorization',
  '*.authorization',
  'token',
  '*.token',
  'apiKey',
  '*.apiKey',
  'secret',
  '*.secret',
  'cookie',
  '*.cookie',
  '*["x-api-key"]',
]

/** Logs go to stderr: stdout is for data. */
export function createLogger(level: string): Logger {
  return pino(
    {
      name: 'tollgate',
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: REDACTED, censor: '[redacted]' },
      serializers: { error: describeError },
    },
    pino.destination({ dest: 2, sync: false }),
  )
}

/** Name, code and message of an error and its causes; never its other members, which may carry requests. */
export function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  const cause = error.cause instanceof Error ? describeError(error.cause) : undefined
  return { name: error.name, code, message: error.message, stack: error.stack, cause }
}
