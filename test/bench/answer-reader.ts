/** How far an answer has come: its head, its body, all of it. */
export type AnswerState = 'head' | 'body' | 'whole'

/** Finds the end of one HTTP/1.1 answer in the bytes of a connection. */
export interface AnswerReader {
  /** Takes the next bytes; throws when they are not an answer, or go on after its end. */
  push(bytes: Buffer): AnswerState
  /** The status, once the head is there. */
  status(): number
}

/** Largest head accepted: all of ours are below 4 KB. */
const HEAD_BYTES_MAX = 64 * 1024

const HEAD_END = '\r\n\r\n'

export function createAnswerReader(): AnswerReader {
  let head: Buffer = Buffer.alloc(0)
  let status = 0
  let body: ((bytes: Buffer) => boolean) | undefined
  const take = (bytes: Buffer): AnswerState => (body?.(bytes) === true ? 'whole' : 'body')
  return {
    status: () => status,
    push(bytes) {
      if (body !== undefined) return take(bytes)
      head = head.length === 0 ? bytes : Buffer.concat([head, bytes])
      const end = head.indexOf(HEAD_END)
      if (end === -1) {
        if (head.length > HEAD_BYTES_MAX) throw new Error(`the head of the answer is over ${HEAD_BYTES_MAX} bytes`)
        return 'head'
      }
      const text = head.toString('latin1', 0, end)
      status = statusOf(text)
      body = bodyOf(text)
      return take(head.subarray(end + HEAD_END.length))
    },
  }
}

function statusOf(head: string): number {
  const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]
  if (status === undefined) throw new Error('not an HTTP/1.1 answer')
  return Number(status)
}

/** A reader of the body that says when it is whole. */
function bodyOf(head: string): (bytes: Buffer) => boolean {
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (length !== undefined) return fixedBody(Number(length))
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) return chunkedBody()
  throw new Error('the answer has neither content-length nor chunks')
}

function fixedBody(length: number): (bytes: Buffer) => boolean {
  let left = length
  return (bytes) => {
    left -= bytes.length
    if (left < 0) throw new Error('bytes after the end of the answer')
    return left === 0
  }
}

/** RFC 9112 section 7.1, without extensions and trailers, which none of the servers sends. */
function chunkedBody(): (bytes: Buffer) => boolean {
  /** Bytes still to come of the chunk and the line end behind it. */
  let left = 0
  let last = false
  let pending = ''
  return (bytes) => {
    let at = 0
    while (at < bytes.length) {
      if (left > 0) {
        const taken = Math.min(left, bytes.length - at)
        left -= taken
        at += taken
        continue
      }
      if (last) throw new Error('bytes after the end of the answer')
      const end = bytes.indexOf(10, at)
      pending += bytes.toString('latin1', at, end === -1 ? bytes.length : end)
      if (end === -1) return false
      at = end + 1
      const size = Number.parseInt(pending, 16)
      if (!(size >= 0)) throw new Error(`not the size of a chunk: ${JSON.stringify(pending)}`)
      pending = ''
      last = size === 0
      left = size + 2
    }
    return last && left === 0
  }
}
