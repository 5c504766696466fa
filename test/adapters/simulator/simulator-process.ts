/**
 * The simulator as a process of its own, for benches and tests that must not share its thread:
 * `node simulator-process.ts ['{"latencyMs":20,"tokensPerSecond":0,"outputTokens":100}']`. Prints one line of JSON with its
 * `url` and serves until its standard input ends or it is told to stop.
 */
import { once } from 'node:events'

import { DEFAULT_MODELS, DEFAULT_SIMULATION, startSimulator } from '../../../src/adapters/simulator/simulator.ts'

const given: unknown = JSON.parse(process.argv[2] ?? '{}')
const simulation = { ...DEFAULT_SIMULATION, ...(typeof given === 'object' ? given : {}) }
const root = { models: DEFAULT_MODELS, simulation }
const simulator = await startSimulator({ root })
process.stdout.write(`${JSON.stringify({ url: simulator.url })}\n`)
await Promise.race([once(process.stdin.resume(), 'end'), once(process, 'SIGTERM'), once(process, 'SIGINT')])
await simulator[Symbol.asyncDispose]()
process.stdin.destroy()
