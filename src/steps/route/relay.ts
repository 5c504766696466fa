import type { StreamReader } from '../../domain/dialect.ts'
import type { Sink } from '../../ports.ts'

export type Relayed = 'complete' | 'broken'

/**
 * Passes a stream on with back-pressure and follows it to its end also when the caller has left, so that an aborted
 * stream is charged what it cost. A stream without its terminal event is broken: it ends with an error frame and a
 * closed connection, never cleanly, because clients take a clean end for success.
 */
export async function relay(
  body: AsyncIterable<Uint8Array>,
  reader: StreamReader,
  sink: Sink,
  errorFrame: () => string,
): Promise<Relayed> {
  let intact = true
  try {
    for await (const chunk of body) {
      const passed = reader.push(chunk)
      if (passed.length > 0 && !sink.write(passed)) await sink.drained()
    }
  } catch {
    // Why it broke does not matter to the caller; what was seen until then is charged.
    intact = false
  }
  const rest = reader.end()
  const { complete, failed } = reader.summary()
  if (intact && (complete || failed)) {
    if (rest.length > 0) sink.write(rest)
    sink.end()
    return failed ? 'broken' : 'complete'
  }
  // Half an event is not passed on: the error frame must stand by itself.
  sink.write(errorFrame())
  sink.abort()
  return 'broken'
}
