/**
 * Tools that run at the provider: what each call is charged as. A tool that is not listed has no known price.
 */
import type { Ask } from '../ask.ts'
import type { Meter, Quantities } from './usage.ts'

type ServerTools = Ask['serverTools']

/** Tool -> the meter of one call; `undefined` where only the tokens it brings are billed. */
const TOOL_METERS: ReadonlyMap<string, Meter | undefined> = new Map<string, Meter | undefined>([
  ['web_search', 'web_search'],
  ['web_search_options', 'web_search'],
  ['file_search', 'file_search'],
  ['web_fetch', undefined],
])

/** Versioned tool names end in a date: `web_search_20250305`. */
const VERSION = /_\d{8}$/

/** The caller may write anything as the kind of a tool, its prompt included: only what can be a name is repeated. */
const TOOL_NAME = /^\w{1,64}$/

/** The calls each meter can see, or the first tool without a price. */
export function callsOf(
  tools: ServerTools,
): { readonly kind: 'priced'; readonly calls: Quantities } | { readonly kind: 'unknown'; readonly tool: string } {
  const calls: Partial<Record<Meter, number>> = {}
  for (const tool of tools) {
    const name = tool.name.replace(VERSION, '')
    if (!TOOL_METERS.has(name)) return { kind: 'unknown', tool: TOOL_NAME.test(tool.name) ? tool.name : 'a tool' }
    const meter = TOOL_METERS.get(name)
    if (meter !== undefined)
      calls[meter] = Math.min((calls[meter] ?? 0) + (tool.callsMax ?? 0), Number.MAX_SAFE_INTEGER)
  }
  return { kind: 'priced', calls }
}

/** The first tool whose calls nothing bounds. */
export function unboundedTool(tools: ServerTools): string | undefined {
  return tools.find((tool) => tool.callsMax === undefined)?.name
}
