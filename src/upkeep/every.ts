/** Spread of the period: nodes started together do not stay in step. */
const JITTER = 0.1

/**
 * Runs `work` again and again, a period after it last ended, so runs never overlap. `work` handles its own failures. The
 * timer does not keep the process alive.
 */
export function every(periodMs: number, work: () => Promise<void>): Disposable {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const schedule = () => {
    if (stopped) return
    timer = setTimeout(() => void work().finally(schedule), periodMs * (1 + JITTER * Math.random()))
    timer.unref()
  }
  schedule()
  return {
    [Symbol.dispose]() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
