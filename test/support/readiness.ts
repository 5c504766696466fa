import { until } from './until.ts'

/** What a probe of the process and a probe of its readiness say. */
export async function probesOf(
  url: string,
): Promise<{ readonly live: number; readonly ready: number; readonly why: string }> {
  const [live, ready] = await Promise.all([fetch(`${url}/livez`), fetch(`${url}/readyz?verbose`)])
  await live.arrayBuffer()
  const why = (await ready.text()).split('\n').filter((line) => line.startsWith('[-]'))
  return { live: live.status, ready: ready.status, why: why.join(' ') }
}

export async function untilReady(url: string): Promise<void> {
  await until('the gateway is ready', async () => ((await probesOf(url)).ready === 200 ? true : undefined))
}

/** Resolves with the reason that the gateway gives. */
export async function untilNotReady(url: string): Promise<string> {
  return until('the gateway is not ready', async () => {
    const { ready, why } = await probesOf(url)
    return ready === 503 ? why : undefined
  })
}
