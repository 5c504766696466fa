/**
 * Tools of a Messages request: which of them run at the provider, how often at most, and which models they bring in.
 */
import type { Ask } from '../domain/ask.ts'
import type { FieldReader } from './field-reader.ts'
import type { JsonObject } from './json-value.ts'
import { isObject } from './json-value.ts'

/** Tools of the vendor's own making that the caller runs itself; their names end in a date. */
const CALLER_TOOLS = /^(?:custom|bash|text_editor|computer|memory|str_replace_based_edit_tool)(?:_\d{8})?$/

/** Members that decide what a tool costs. */
const TOOL_NAMES: ReadonlySet<string> = new Set(['type', 'max_uses', 'model', 'cache_control'])

export function readTools(fields: FieldReader): Pick<Ask, 'hasTools' | 'serverTools' | 'otherModels'> {
  const tools = fields.objects(fields.list('tools') ?? [], 'tools')
  for (const [index, tool] of tools.entries()) fields.spellingOf(tool, `tools[${index}].`, TOOL_NAMES)
  const servers = fields.list('mcp_servers') ?? []
  const serverTools = tools.flatMap((tool, index) => serverTool(tool, index, fields))
  if (servers.length > 0) serverTools.push({ name: 'mcp', callsMax: undefined })
  const fallbacks = fields.list('fallbacks') ?? []
  return {
    hasTools: tools.length + servers.length > 0,
    serverTools,
    // Whatever an entry looks like, it lets another model answer.
    otherModels: [...modelsOf(tools), ...fallbacks.flatMap((item) => modelsOf([item])[0] ?? 'fallbacks')],
  }
}

function serverTool(tool: JsonObject, index: number, fields: FieldReader): Ask['serverTools'][number][] {
  const type = tool['type'] ?? 'custom'
  if (typeof type !== 'string') {
    fields.refuse(`tools[${index}].type`, 'must be the name of a kind of tool.')
    return []
  }
  if (CALLER_TOOLS.test(type)) return []
  const uses = tool['max_uses'] ?? undefined
  if (uses !== undefined && !(typeof uses === 'number' && Number.isSafeInteger(uses) && uses >= 1)) {
    fields.refuse(`tools[${index}].max_uses`, 'must be a whole number, 1 or more.')
    return []
  }
  return [{ name: type, callsMax: uses }]
}

/** An advisor tool or a fallback answers with a model of its own, at that model's price. */
function modelsOf(items: readonly unknown[]): string[] {
  return items.flatMap((item) => {
    const model = isObject(item) ? item['model'] : item
    return typeof model === 'string' ? [model] : []
  })
}
