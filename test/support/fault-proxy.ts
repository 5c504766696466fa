/**
 * The way to a server, with the faults of a network: late, still, closed, or broken in the middle of an answer, when the
 * command has been carried out.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface FaultProxy extends AsyncDisposable {
  readonly port: number
  /** Carries each byte this much later, either way; 0 at once. */
  delay(ms: number): void
  /** Nothing flows any more, and connections stay open. */
  pause(): void
  /** Closes the port and breaks every connection: whoever connects is refused. */
  refuse(): Promise<void>
  /** Breaks every connection once; new ones are taken. */
  reset(): void
  /** Breaks a connection at its next answer, after that many bytes of it; `times` answers in all. */
  cutAnswers(times: number, afterBytes?: number): void
  /** Answers that were cut. */
  readonly lost: () => number
  /** Ends every fault; what was held back flows. */
  heal(): Promise<void>
}

interface Faults {
  delayMs: number
  isPaused: boolean
  toCut: number
  cutAfter: number
  lost: number
}

/** Carries one direction in order; what it holds back goes on when the fault ends. */
function carry(from: Socket, write: (bytes: Buffer) => void, faults: Faults, held: Set<() => void>): void {
  let last: Promise<void> = Promise.resolve()
  const deliver = async (before: Promise<void>, bytes: Buffer) => {
    const dueMs = performance.now() + faults.delayMs
    await before
    const waitMs = dueMs - performance.now()
    if (faults.delayMs > 0 && waitMs > 0) await sleep(waitMs)
    if (faults.isPaused) await new Promise<void>((resolve) => held.add(resolve))
    write(bytes)
  }
  from.on('data', (bytes: Buffer) => void (last = deliver(last, bytes)))
}

function join(near: Socket, far: Socket, faults: Faults, held: Set<() => void>): void {
  carry(near, (bytes) => void (far.destroyed || far.write(bytes)), faults, held)
  const answer = (bytes: Buffer) => {
    if (near.destroyed) return
    if (faults.toCut === 0) return void near.write(bytes)
    faults.toCut -= 1
    faults.lost += 1
    near.write(bytes.subarray(0, faults.cutAfter), () => near.destroy())
  }
  carry(far, answer, faults, held)
}

async function listen(port: number, take: (near: Socket) => void): Promise<Server> {
  const server = createServer(take).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was bound')
  return address.port
}

export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  const sockets = new Set<Socket>()
  const held = new Set<() => void>()
  const faults: Faults = { delayMs: 0, isPaused: false, toCut: 0, cutAfter: 0, lost: 0 }
  const take = (near: Socket) => {
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
    join(near, far, faults, held)
  }
  let server: Server | undefined = await listen(0, take)
  const port = portOf(server)
  const reset = () => {
    for (const socket of sockets) socket.destroy()
  }
  const refuse = async () => {
    const closing = server
    server = undefined
    const closed = closing && once(closing, 'close')
    closing?.close()
    reset()
    await closed
  }
  return {
    port,
    delay: (ms) => void (faults.delayMs = ms),
    pause: () => void (faults.isPaused = true),
    refuse,
    reset,
    cutAnswers(times, afterBytes = 0) {
      faults.toCut = times
      faults.cutAfter = afterBytes
    },
    lost: () => faults.lost,
    async heal() {
      Object.assign(faults, { delayMs: 0, isPaused: false, toCut: 0 })
      for (const release of held) release()
      held.clear()
      server ??= await listen(port, take)
    },
    [Symbol.asyncDispose]: refuse,
  }
}
