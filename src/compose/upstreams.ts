import { createGuardedDispatcher } from '../adapters/destinations/dispatcher.ts'
import { createUpstreams } from '../adapters/providers/upstreams.ts'
import { DEFAULT_SIMULATION, startSimulator } from '../adapters/simulator/simulator.ts'
import type { SecretReader } from '../config/environment.ts'
import { readVersion } from '../config/version.ts'
import type { Policy, Upstream } from '../domain/policy/policy.ts'
import type { TokenCounter, Upstreams } from '../ports.ts'

interface Inputs {
  readonly policy: Policy
  readonly secrets: SecretReader
  readonly counter: TokenCounter
}

/** The way to every configured upstream; the simulator is started only when an upstream of the set is one. */
export async function openUpstreams(inputs: Inputs, parts: AsyncDisposableStack): Promise<Upstreams> {
  const { policy, secrets } = inputs
  const dispatcher = createGuardedDispatcher({ rules: () => policy.destinations })
  parts.defer(() => dispatcher.destroy())
  const simulatorUrl = await simulate(inputs, parts)
  const upstreams = createUpstreams({
    dispatcherFor: () => dispatcher,
    secretOf: (key) => (key.secret === undefined ? undefined : secrets(key.secret)),
    userAgent: `tollgate/${readVersion()}`,
    ...(simulatorUrl !== undefined && { simulatorUrl }),
  })
  return parts.use(upstreams)
}

async function simulate({ policy, counter }: Inputs, parts: AsyncDisposableStack): Promise<string | undefined> {
  const simulated = new Map(policy.upstreams.filter(isSimulated).map((upstream) => [upstream.name, upstream]))
  if (simulated.size === 0) return undefined
  const simulator = await startSimulator({
    counter,
    upstreamNamed(name) {
      const upstream = simulated.get(name)
      if (upstream === undefined) return undefined
      return { models: [...upstream.models.values()], simulation: upstream.simulation ?? DEFAULT_SIMULATION }
    },
  })
  parts.use(simulator)
  return simulator.url
}

function isSimulated(upstream: Upstream): boolean {
  return upstream.provider === 'simulator'
}
