/**
 * The only reader of the process environment. Settings that say where things are come through {@link readEnvironment};
 * secrets come by reference through {@link createSecretReader} and stay out of every configuration value.
 */
import { readFileSync, statSync } from 'node:fs'

/** Largest secret file read: provider keys are under 1 KiB. */
const SECRET_BYTES_MAX = 64 * 1024

/** Names with our prefix that mean something; any other is a typing mistake and refused. */
const KNOWN = new Set(['TOLLGATE_CONFIG', 'TOLLGATE_LOG_LEVEL'])

export interface Environment {
  readonly configFile: string | undefined
  readonly port: string | undefined
  readonly redisUrl: string | undefined
  readonly logLevel: string | undefined
}

export type EnvironmentResult =
  | { readonly kind: 'read'; readonly environment: Environment }
  | { readonly kind: 'invalid'; readonly message: string }

/** Reads the settings of the environment; `NAME_FILE` beside a secret `NAME` names a file that holds it. */
export function readEnvironment(env: NodeJS.ProcessEnv = process.env): EnvironmentResult {
  const unknown = Object.keys(env).filter((name) => name.startsWith('TOLLGATE_') && !KNOWN.has(name))
  if (unknown.length > 0) {
    const message = `unknown environment variable ${unknown.join(', ')}; known are ${[...KNOWN].join(', ')}`
    return { kind: 'invalid', message }
  }
  const redisUrl = readSecret('env:REDIS_URL', env)
  return {
    kind: 'read',
    environment: {
      configFile: env['TOLLGATE_CONFIG'],
      port: env['PORT'],
      redisUrl,
      logLevel: env['TOLLGATE_LOG_LEVEL'],
    },
  }
}

/** Resolves a secret reference to its value now, or undefined when it is not there. */
export type SecretReader = (reference: string) => string | undefined

/**
 * Reads secrets by reference: `env:NAME` (or the file that `NAME_FILE` names) and `file:/path`. A file is read again when
 * it changes, so a rotated key takes effect without a restart.
 */
export function createSecretReader(env: NodeJS.ProcessEnv = process.env): SecretReader {
  const files = new Map<string, { readonly changedMs: number; readonly value: string }>()
  return (reference) => readSecret(reference, env, files)
}

function readSecret(
  reference: string,
  env: NodeJS.ProcessEnv,
  files?: Map<string, { readonly changedMs: number; readonly value: string }>,
): string | undefined {
  if (reference.startsWith('file:')) return readSecretFile(reference.slice('file:'.length), files)
  if (!reference.startsWith('env:')) return undefined
  const name = reference.slice('env:'.length)
  const value = env[name]
  if (value !== undefined && value !== '') return value
  const file = env[`${name}_FILE`]
  return file === undefined ? undefined : readSecretFile(file, files)
}

function readSecretFile(
  path: string,
  files: Map<string, { readonly changedMs: number; readonly value: string }> | undefined,
): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined || !stat.isFile() || stat.size > SECRET_BYTES_MAX) return undefined
  const known = files?.get(path)
  if (known !== undefined && known.changedMs === stat.mtimeMs) return known.value
  const value = readFileSync(path, 'utf8').trim()
  files?.set(path, { changedMs: stat.mtimeMs, value })
  return value === '' ? undefined : value
}
