import type { RedisCommands } from './connection/client.ts'
import type { Keys } from './keys.ts'
import { Reply } from './replies.ts'
import type { Scripts } from './scripts.ts'

/** A node that has not been here for this long is gone. Rather too long: one that is counted in vain makes shares smaller. */
const PRESENT_MS = 600_000

/** Marks the node as present and answers how many are, itself among them. */
export async function countNodes(
  parts: { readonly redis: RedisCommands; readonly keys: Keys; readonly scripts: Scripts },
  owner: string,
): Promise<number> {
  const reply = await parts.redis.evaluate(parts.scripts.presence, [parts.keys.nodes], [owner, PRESENT_MS])
  return new Reply(reply).integer()
}
