import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import OpenAI from 'openai'
import { expect, it } from 'vitest'

it('serves as a process of its own and ends with its standard input', async () => {
  const script = fileURLToPath(new URL('simulator-process.ts', import.meta.url))
  const child = spawn(process.execPath, [script, '{"outputTokens":5}'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  try {
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const baseURL = `${(JSON.parse(line) as { url: string }).url}/v1`
    const client = new OpenAI({ apiKey: 'x', baseURL, maxRetries: 0 })
    const answer = await client.chat.completions.create({
      model: 'sim-small',
      messages: [{ role: 'user', content: 'hello' }],
    })
    expect(answer.usage?.completion_tokens).toBe(5)
  } finally {
    child.stdin.end()
  }
  expect(await exited).toEqual([0, null])
})
