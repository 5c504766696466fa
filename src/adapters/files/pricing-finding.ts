import type { PriceRow } from '../../domain/prices/prices.ts'
import type { PriceFileRow } from './pricing-schema.ts'
import type { Path } from './pricing-source.ts'

/** What a rule found in one model of a price file. */
export interface Finding {
  readonly severity: 'error' | 'warning'
  readonly code: string
  /** Relative to the model. */
  readonly path: Path
  readonly message: string
}

/** A row in both forms, with its place in the file. */
export interface PlacedRow {
  readonly written: PriceFileRow
  readonly row: PriceRow
  readonly path: Path
}

export const error = (code: string, path: Path, message: string): Finding => ({
  severity: 'error',
  code,
  path,
  message,
})
export const warning = (code: string, path: Path, message: string): Finding => ({
  severity: 'warning',
  code,
  path,
  message,
})
