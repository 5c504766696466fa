import { setTimeout as sleep } from 'node:timers/promises'

/** What a process still has to do takes milliseconds; a machine under load gets this long. */
const WAIT_MAX_MS = 30_000
const ASK_EVERY_MS = 25

/** Asks another process again and again until it has an answer; fails with what was waited for. */
export async function until<Answer>(what: string, ask: () => Promise<Answer | undefined>): Promise<Answer> {
  const deadline = performance.now() + WAIT_MAX_MS
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`)
    await sleep(ASK_EVERY_MS)
  }
}
