import { keepObject } from '../adapters/files/objects.ts'
import type { Logger } from '../observability/logger.ts'
import type { World } from '../ports.ts'
import type { IdleLog } from '../ports/audit-log.ts'
import type { OpenCallRegistry } from '../upkeep/open-calls.ts'
import { countOf, reconcile } from '../upkeep/reconcile.ts'
import { recover } from '../upkeep/recovery.ts'
import type { Restore } from '../upkeep/recovery.ts'
import { checkLedger } from './ledger-check.ts'
import type { RulesInForce } from './rules.ts'

/** Closes what a killed process left open, then writes down which rules are in force. */
export async function beginRecord(input: {
  readonly world: World
  readonly openCalls: Pick<OpenCallRegistry, 'calls'>
  readonly rules: RulesInForce
  /** Gives balances back to a ledger that forgets on exit; undefined for one that remembers. */
  readonly restore: Restore | undefined
  readonly logger: Logger
  readonly idleLogs: () => Promise<readonly IdleLog[]>
  /** Opens a ledger whose store can be lost, and calls this once it may be told what the log says; it may come later. */
  readonly openStore: (onFirstOpening: (isSameEpoch: boolean) => Promise<void>) => Promise<void>
  /** Where policies and prices that were ever in force are kept. */
  readonly folder: string
}): Promise<void> {
  const { world, rules, logger, folder } = input
  await checkLedger(world.ledger, logger)
  const { settleAgain, ...recovered } = await recover({ ...world, ...input })
  if (recovered.closed > 0) logger.warn(recovered, 'calls left open by a killed process are settled at their estimate')
  await input.openStore(async (isSameEpoch) => {
    await settleAgain(isSameEpoch)
    // Calls that are open by now are not accounted for here: they settle by themselves.
    const reconciled = await reconcile({ ...world, openCalls: input.openCalls })
    if (countOf(reconciled) > 0) logger.warn(reconciled, 'expired holds are settled as the log has them')
  })
  await announce(world, 'policy', {
    text: rules.policy.canonical,
    sha256: rules.policy.digest,
    folder,
    ...named(rules),
  })
  await announce(world, 'price', { text: rules.prices.canonical, sha256: rules.prices.version, folder })
}

function named({ policy }: RulesInForce): { readonly name: string; readonly rev: string | undefined } {
  return { name: policy.name, rev: policy.revision }
}

/** Keeps the document and puts on record that it is in force from here on. */
async function announce(
  world: World,
  type: 'policy' | 'price',
  rule: { text: string; sha256: string; folder: string; name?: string; rev?: string | undefined },
): Promise<void> {
  await keepObject(rule.folder, rule.sha256, rule.text)
  const { name, rev, sha256 } = rule
  await world.auditLog.append({
    v: 1,
    type,
    id: world.ids.next(),
    name,
    rev,
    h: sha256,
    bytes: Buffer.byteLength(rule.text),
  })
}
