import { setTimeout as wait } from 'node:timers/promises'
import type { Timer } from '../../ports.ts'

/** The machine's timers. */
export const systemTimer: Timer = { wait: (ms) => wait(ms) }
