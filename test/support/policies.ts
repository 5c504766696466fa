/** A policy set for tests: the simulator behind both dialects, and the rules a test is about. */
export function policySet(rules: string, upstreamOptions = '{latency: 0ms}'): string {
  return `
apiVersion: tollgate/v1
kind: PolicySet
metadata: {name: test}
identity:
  issuers:
    - {name: dev, builtin: true}
classification:
  levels:
    - {name: public, weight: 1}
    - {name: internal, weight: 1}
    - {name: restricted, weight: 5}
  default: internal
upstreams:
  - name: sim
    provider: simulator
    models: {sim-small: sim-small, sim-large: sim-large, sim-claude: sim-claude, sim-expensive: sim-expensive}
    simulator: ${upstreamOptions}
access:
  default: deny
  rules:
    - name: agents
      match: {role: agent}
      allow: {operations: [chat]}
${rules}
`
}
