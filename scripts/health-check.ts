/**
 * The health check of the image, where there is neither a shell nor curl: exits 0 when /livez answers 200 in time.
 * The address is the first argument, else the port of the environment on this host.
 */
import { get } from 'node:http'

/** Less than the image's own limit, so that the reason is printed and not cut off. */
const ANSWER_MS_MAX = 2_000

const url = process.argv[2] ?? `http://127.0.0.1:${process.env['PORT'] ?? '8787'}/livez`

function fail(reason: string): void {
  process.stderr.write(`${url}: ${reason}\n`)
  process.exitCode = 1
}

get(url, { agent: false, signal: AbortSignal.timeout(ANSWER_MS_MAX) }, (response) => {
  if (response.statusCode !== 200) fail(`answered ${response.statusCode}`)
  response.resume()
}).once('error', (error) => fail(error.message))
