/**
 * Counts tokens off the event loop of the gateway. Special-token strings such as `<|endoftext|>` are counted as the plain
 * text they are in a prompt. Counts of whole texts are remembered by hash, because agents send their conversation again
 * with every call; the texts themselves are not kept.
 */
import { hash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import { get_encoding, type Tiktoken } from 'tiktoken'
import type { Encoding } from '../../domain/prices/prices.ts'
import { cutText } from './cut-text.ts'
import type { CountAnswer, CountQuestion } from './messages.ts'

/** About 8 MB of hashes and numbers; a long conversation has a few hundred texts. */
const REMEMBERED_MAX = 50_000

const encoders = new Map<Encoding, Tiktoken>()

/** Owned by this thread alone; insertion order is the order of use, at most {@link REMEMBERED_MAX} entries. */
const remembered = new Map<string, number>()

function countAll(texts: readonly string[], encoding: Encoding): number {
  return texts.reduce((sum, text) => sum + countRemembered(text, encoding), 0)
}

function countRemembered(text: string, encoding: Encoding): number {
  const key = hash('sha256', `${encoding}\0${text}`, 'base64')
  const count = remembered.get(key) ?? countText(text, encoding)
  remembered.delete(key)
  remembered.set(key, count)
  if (remembered.size > REMEMBERED_MAX) {
    const [oldest] = remembered.keys()
    if (oldest !== undefined) remembered.delete(oldest)
  }
  return count
}

function countText(text: string, encoding: Encoding): number {
  const encoder = encoders.get(encoding) ?? get_encoding(encoding)
  encoders.set(encoding, encoder)
  const { pieces, extraTokens } = cutText(text)
  return pieces.reduce((sum, piece) => sum + encoder.encode_ordinary(piece).length, extraTokens)
}

parentPort?.on('message', ({ id, texts, encoding }: CountQuestion) => {
  const answer: CountAnswer = { id, count: countAll(texts, encoding) }
  parentPort?.postMessage(answer, [])
})
