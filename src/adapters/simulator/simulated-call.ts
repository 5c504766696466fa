/**
 * What the simulated model answers to one request: the same request always gets the same text.
 */
import type { Ask, InvalidAsk } from '../../domain/ask.ts'
import type { Dialect } from '../../domain/dialect.ts'
import type { Simulation } from '../../domain/policy/policy.ts'
import type { TokenCounter } from '../../ports.ts'
import { readDirectives } from './directives.ts'
import type { Directives } from './directives.ts'
import { answerTokens, seedOf } from './words.ts'

export interface SimulatedCall {
  readonly ask: Ask
  readonly directives: Directives
  readonly inputTokens: number
  /** Tokens of one choice. */
  readonly outputTokens: number
  /** Whether the caller's maximum cut the answer short. */
  readonly truncated: boolean
  readonly latencyMs: number
  /** 0 means as fast as the socket takes it. */
  readonly tokensPerSecond: number
  /** Tokens of one choice, in order. */
  readonly tokensOf: (choice: number) => Iterable<string>
  /** Short name of the conversation, for ids. */
  readonly label: string
}

export interface SimulationInput {
  readonly dialect: Dialect
  readonly body: Uint8Array
  readonly simulation: Simulation
  readonly counter: TokenCounter | undefined
}

/** Tokens that frame one message and the whole conversation, as the vendors' templates do. */
const TOKENS_PER_MESSAGE = 3
const TOKENS_PER_CONVERSATION = 3

/** What an image costs here. */
const TOKENS_PER_IMAGE = 85

/** Without a counter: the usual length of a token in bytes. */
const BYTES_PER_TOKEN = 4

export async function planCall(input: SimulationInput): Promise<SimulatedCall | InvalidAsk> {
  const parsed = input.dialect.parse(input.body)
  if (parsed.kind === 'invalid') return parsed
  const { ask } = parsed
  const messages = readMessages(ask.body)
  const directives = readDirectives(messages.findLast(({ role }) => role === 'user')?.text ?? '')
  const wanted = directives.tokens ?? input.simulation.outputTokens
  const outputTokens = Math.min(wanted, ask.outputTokensMax ?? wanted)
  const seed = seedOf(JSON.stringify([ask.model, messages]))
  return {
    ask,
    directives,
    inputTokens: await countInput(ask, messages, input.counter),
    outputTokens,
    truncated: outputTokens < wanted,
    latencyMs: directives.latencyMs ?? input.simulation.latencyMs,
    tokensPerSecond: directives.speed ?? input.simulation.tokensPerSecond,
    tokensOf: (choice) => answerTokens((seed + choice) >>> 0, outputTokens),
    label: seed.toString(16).padStart(8, '0'),
  }
}

interface SimulatedMessage {
  readonly role: string
  readonly text: string
}

function readMessages(body: Uint8Array): readonly SimulatedMessage[] {
  const root = objectOf(JSON.parse(Buffer.from(body).toString('utf8')))
  const messages = Array.isArray(root['messages']) ? root['messages'] : []
  const system = root['system'] === undefined ? [] : [{ role: 'system', text: textOf(root['system']) }]
  return [
    ...system,
    ...messages.map(objectOf).map((message) => ({ role: String(message['role']), text: textOf(message['content']) })),
  ]
}

/** The text of a message: its string, or the texts of its parts, however deep. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (Array.isArray(content)) return content.map(textOf).join('\n')
  const part = objectOf(content)
  return part['text'] === undefined ? textOf(part['content'] ?? '') : textOf(part['text'])
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

async function countInput(
  ask: Ask,
  messages: readonly SimulatedMessage[],
  counter: TokenCounter | undefined,
): Promise<number> {
  const texts = messages.flatMap(({ role, text }) => [role, text])
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  const counted = await counter?.count(texts, 'o200k_base')
  const framing = TOKENS_PER_MESSAGE * messages.length + TOKENS_PER_CONVERSATION
  return (counted ?? Math.ceil(bytes / BYTES_PER_TOKEN)) + framing + ask.images * TOKENS_PER_IMAGE
}
