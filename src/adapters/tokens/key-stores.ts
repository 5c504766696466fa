/** One key store for each issuer of the policy in force, kept over a change of policy that leaves the issuer's keys alone. */
import type { IssuerRule } from '../../domain/policy/policy.ts'
import type { Clock } from '../../ports.ts'
import type { BuiltinIssuer } from './builtin-issuer.ts'
import { builtinKeySource, fileKeySource, urlKeySource } from './key-source.ts'
import type { FetchDocument, KeySource } from './key-source.ts'
import { KeyStore } from './key-store.ts'
import type { ReportKeyProblem } from './key-store.ts'

export interface KeyStoresOptions {
  readonly clock: Clock
  readonly fetchDocument: FetchDocument
  readonly builtin?: BuiltinIssuer | undefined
  readonly report?: ReportKeyProblem
}

/** An issuer as the policy names it, with its keys. */
export interface NamedIssuer {
  readonly rule: IssuerRule
  readonly store: KeyStore
}

export class KeyStores {
  readonly #options: KeyStoresOptions
  /** By name and source: an outage of an identity provider must not turn a change of policy into an outage of ours. */
  #stores = new Map<string, KeyStore>()
  /** By exact `iss`. Two rules that claim one `iss` are no issuer at all: either could speak for the other. */
  #byIssuer = new Map<string, NamedIssuer | 'ambiguous'>()

  constructor(options: KeyStoresOptions) {
    this.#options = options
  }

  adopt(rules: readonly IssuerRule[]): void {
    const stores = new Map<string, KeyStore>()
    const byIssuer = new Map<string, NamedIssuer | 'ambiguous'>()
    for (const rule of rules) {
      const id = JSON.stringify([rule.name, rule.keys])
      const store = this.#stores.get(id) ?? this.#open(rule)
      stores.set(id, store)
      byIssuer.set(rule.issuer, byIssuer.has(rule.issuer) ? 'ambiguous' : { rule, store })
    }
    this.#stores = stores
    this.#byIssuer = byIssuer
  }

  /** `issuer` is an unverified claim: anything. */
  ofIssuer(issuer: unknown): NamedIssuer | 'ambiguous' | undefined {
    return typeof issuer === 'string' ? this.#byIssuer.get(issuer) : undefined
  }

  ages(): readonly { readonly issuer: string; readonly ageMs: number | undefined }[] {
    return [...this.#stores.values()].map((store) => ({ issuer: store.issuer, ageMs: store.ageMs() }))
  }

  #open(rule: IssuerRule): KeyStore {
    const { clock, report = () => {} } = this.#options
    return new KeyStore({ issuer: rule.name, source: this.#sourceOf(rule), clock, report })
  }

  #sourceOf({ keys }: IssuerRule): KeySource {
    if (keys.kind === 'file') return fileKeySource(keys.path)
    if (keys.kind === 'url') return urlKeySource(keys.url, this.#options.fetchDocument)
    return builtinKeySource(this.#options.builtin?.jwks().keys ?? [])
  }
}
