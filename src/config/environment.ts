/**
 * The only reader of the process environment. Settings that say where things are come through {@link readEnvironment};
 * secrets come by reference through {@link createSecretReader} and stay out of every configuration value.
 */
import { readFileSync, statSync } from 'node:fs'

/** Largest secret file read: provider keys are under 1 KiB. */
const SECRET_BYTES_MAX = 64 * 1024

/** A file is looked at this often at most: a look costs a system call, and a key is asked for on every call. */
const LOOK_EVERY_MS = 1_000

/** Names with our prefix that mean something; any other is a typing mistake and refused. */
const KNOWN = new Set(['TOLLGATE_CONFIG', 'TOLLGATE_LOG_LEVEL'])

export interface Environment {
  readonly configFile: string | undefined
  readonly port: string | undefined
  readonly redisUrl: string | undefined
  readonly redisPassword: string | undefined
  readonly redisSentinelPassword: string | undefined
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
  const secret = createSecretReader(env)
  return {
    kind: 'read',
    environment: {
      configFile: env['TOLLGATE_CONFIG'],
      port: env['PORT'],
      redisUrl: secret('env:REDIS_URL'),
      redisPassword: secret('env:REDIS_PASSWORD'),
      redisSentinelPassword: secret('env:REDIS_SENTINEL_PASSWORD'),
      logLevel: env['TOLLGATE_LOG_LEVEL'],
    },
  }
}

/** Resolves a secret reference to its value now, or undefined when it is not there. */
export type SecretReader = (reference: string) => string | undefined

/**
 * Reads secrets by reference: `env:NAME` (or the file that `NAME_FILE` names) and `file:/path`. A file is read again when
 * it changes, so a rotated key takes effect within a second and without a restart.
 */
export function createSecretReader(
  env: NodeJS.ProcessEnv = process.env,
  nowMs: () => number = () => performance.now(),
): SecretReader {
  const files = new SecretFiles(nowMs)
  return (reference) => readSecret(reference, env, files)
}

function readSecret(reference: string, env: NodeJS.ProcessEnv, files: SecretFiles): string | undefined {
  if (reference.startsWith('file:')) return files.read(reference.slice('file:'.length))
  if (!reference.startsWith('env:')) return undefined
  const name = reference.slice('env:'.length)
  const value = env[name]
  if (value !== undefined && value !== '') return value
  const file = env[`${name}_FILE`]
  return file === undefined ? undefined : files.read(file)
}

interface SecretFile {
  readonly value: string
  readonly changedMs: number
  lookedAtMs: number
}

class SecretFiles {
  readonly #nowMs: () => number
  /** What was read, by path; only references of the configuration lead here, so there are few. */
  readonly #known = new Map<string, SecretFile>()

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Undefined when there is no such file, or it holds nothing that can be a secret. */
  read(path: string): string | undefined {
    const nowMs = this.#nowMs()
    const known = this.#known.get(path)
    if (known !== undefined && nowMs - known.lookedAtMs < LOOK_EVERY_MS) return known.value
    const stat = statSync(path, { throwIfNoEntry: false })
    this.#known.delete(path)
    if (stat === undefined || !stat.isFile() || stat.size > SECRET_BYTES_MAX) return undefined
    const isSame = known?.changedMs === stat.mtimeMs
    const value = isSame ? known.value : readFileSync(path, 'utf8').trim()
    if (value === '') return undefined
    this.#known.set(path, { value, changedMs: stat.mtimeMs, lookedAtMs: nowMs })
    return value
  }
}
