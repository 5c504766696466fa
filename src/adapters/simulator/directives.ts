/**
 * What a caller can ask of the simulator inside its last user message, for tests and demonstrations:
 *
 *     [[simulate latency=200 tokens=50 speed=100 status=500 cut=3 no-usage hang]]
 *
 * | word | meaning |
 * | --- | --- |
 * | `latency=MS` | wait before the first byte |
 * | `tokens=N` | length of the answer, unless the caller's maximum is smaller |
 * | `speed=N` | tokens a second; 0 is as fast as the socket takes them |
 * | `status=N` | answer with this error status (400 to 599) before any token |
 * | `cut=K` | destroy the socket after K pieces of a stream, or in the middle of a whole answer |
 * | `no-usage` | leave the usage out |
 * | `hang` | never answer |
 *
 * Unknown words and values out of range are ignored, as a model would ignore them.
 */

export interface Directives {
  readonly latencyMs?: number
  readonly tokens?: number
  readonly speed?: number
  readonly status?: number
  readonly cutAfter?: number
  readonly noUsage: boolean
  readonly hang: boolean
}

/** Longest wait, longest answer and highest speed that can be asked for. */
const LATENCY_MAX_MS = 600_000
const OUTPUT_TOKENS_MAX = 200_000
const SPEED_MAX = 1_000_000

const DIRECTIVE = /\[\[simulate((?:\s+[\w-]{1,16}(?:=\d{1,9})?){0,16})\s*\]\]/

interface NumericWord {
  readonly name: 'latencyMs' | 'tokens' | 'speed' | 'status' | 'cutAfter'
  readonly min: number
  readonly max: number
}

const WORDS: ReadonlyMap<string, NumericWord> = new Map<string, NumericWord>([
  ['latency', { name: 'latencyMs', min: 0, max: LATENCY_MAX_MS }],
  ['tokens', { name: 'tokens', min: 1, max: OUTPUT_TOKENS_MAX }],
  ['speed', { name: 'speed', min: 0, max: SPEED_MAX }],
  ['status', { name: 'status', min: 400, max: 599 }],
  ['cut', { name: 'cutAfter', min: 0, max: OUTPUT_TOKENS_MAX }],
])

export function readDirectives(text: string): Directives {
  const words = DIRECTIVE.exec(text)?.[1]?.trim().split(/\s+/) ?? []
  const numbers: Partial<Record<NumericWord['name'], number>> = {}
  for (const word of words) {
    const [name = '', digits = ''] = word.split('=')
    const numeric = WORDS.get(name)
    const value = Number(digits)
    if (numeric && digits !== '' && value >= numeric.min && value <= numeric.max) numbers[numeric.name] = value
  }
  return { ...numbers, noUsage: words.includes('no-usage'), hang: words.includes('hang') }
}
