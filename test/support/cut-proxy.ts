/**
 * A way to a server on which a test loses an answer: the command arrives and is carried out, and the connection breaks
 * before its answer has come back.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'

export interface CutProxy extends AsyncDisposable {
  readonly port: number
  /** Breaks each connection, from now on, at its next answer; `times` of them in all. */
  cutAnswers(times: number): void
  /** Answers that were lost. */
  readonly lost: () => number
}

export async function startCutProxy(targetPort: number): Promise<CutProxy> {
  const sockets = new Set<Socket>()
  let toCut = 0
  let lost = 0
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far)
    far.on('data', (answer) => {
      if (toCut === 0) return void near.write(answer)
      toCut -= 1
      lost += 1
      near.destroy()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was bound')
  return {
    port: address.port,
    cutAnswers: (times) => void (toCut = times),
    lost: () => lost,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
