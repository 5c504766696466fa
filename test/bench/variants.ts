import { join } from 'node:path'
import { startServer } from './child.ts'
import { startGateway } from './gateway.ts'
import type { VariantName } from './options.ts'
import { startRedis } from './redis.ts'

/** A running server under test. */
export interface Variant {
  readonly name: VariantName
  readonly url: string
  readonly token: string
  readonly brokeToken?: string
  /** The process whose processor time a call costs; the upstream's own is of no interest. */
  readonly pid?: number
  /** The process of the store behind it. */
  readonly storePid?: number
  /** The end of its log. */
  readonly tail?: () => string
}

interface Place {
  readonly upstream: string
  /** For whatever a variant writes. */
  readonly folder: string
  /** Ends what was started, in reverse order. */
  readonly parts: AsyncDisposableStack
}

const NO_TOKEN = 'nobody-reads-this'

const START = {
  direct: async ({ upstream }) => ({ name: 'direct', url: upstream, token: NO_TOKEN }),
  bare: async ({ upstream, parts }) => {
    const { url, pid } = parts.use(await startServer('bare-proxy', [upstream]))
    return { name: 'bare', url, pid, token: NO_TOKEN }
  },
  embedded: async ({ upstream, folder, parts }) => {
    const gateway = parts.use(await startGateway({ folder: join(folder, 'embedded'), upstream, redis: undefined }))
    return { ...gateway, name: 'embedded' }
  },
  redis: async ({ upstream, folder, parts }) => {
    const store = parts.use(await startRedis(folder))
    const gateway = parts.use(await startGateway({ folder: join(folder, 'redis'), upstream, redis: store.url }))
    return { ...gateway, name: 'redis', storePid: store.pid }
  },
} satisfies Record<VariantName, (place: Place) => Promise<Variant>>

export function startVariant(name: VariantName, place: Place): Promise<Variant> {
  return START[name](place)
}
