import type { Events } from '../ports/events.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'

type HoldEvents = Pick<Events, 'callsOutlived' | 'holdsExpired' | 'holdsLost' | 'holdsReconciled' | 'holdsReasserted'>

/** The events of holds that did not end as they should. Each of them is rare: a line for every one. */
export function holdEvents(logger: Logger, metrics: Metrics): HoldEvents {
  const tell = (event: string, text: string) => (count: number) => {
    metrics.holds.inc({ event }, count)
    logger.warn({ count }, text)
  }
  return {
    callsOutlived: tell('outlived', 'calls that were open too long are ended'),
    holdsExpired: tell('expired', 'holds expired and were charged in full'),
    holdsLost: tell('lost', 'open calls whose holds are gone'),
    holdsReconciled: tell('reconciled', 'expired holds are settled as the log has them'),
    holdsReasserted: tell('reasserted', 'holds that the ledger had lost are held again'),
  }
}
