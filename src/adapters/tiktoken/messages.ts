import type { Encoding } from '../../domain/prices/prices.ts'

/** What the counter asks its worker. */
export interface CountQuestion {
  readonly id: number
  readonly texts: readonly string[]
  readonly encoding: Encoding
}

/** What the worker answers. */
export interface CountAnswer {
  readonly id: number
  readonly count: number
}
