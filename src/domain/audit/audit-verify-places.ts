/**
 * Tells from the order of lines which record is missing, out of place, there twice or unreadable. A line counts as genuine
 * when it is the record that it says it is; everything else waits in a row until a genuine line shows which places the row
 * took. One line is looked ahead, to tell a record that was put here from records that were taken out.
 */
import { FindingList } from './audit-verify-findings.ts'

export interface SeenLine {
  /** What the line says it is; undefined when it is no record. */
  readonly seq: number | undefined
  readonly isGenuine: boolean
  /** Whether its hash says so too, and not only its form. */
  readonly isProven: boolean
}

/** Most of each that is remembered; beyond it a log is damaged so much that single names help nobody. */
const REMEMBERED_MAX = 10_000

interface Stray {
  readonly seq: number
  /** The record it changed places with, when they are neighbours: neither of two is more out of place than the other. */
  readonly neighbour: number | undefined
}

interface Range {
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

export class AuditPlaces {
  readonly #signedSize: number
  readonly #findings = new FindingList()
  /** All below is owned by this object. */
  #next = 0
  #held: SeenLine | undefined
  #row: SeenLine[] = []
  #strays: Stray[] = []
  #missing: Range[] = []

  constructor(signedSize: number) {
    this.#signedSize = signedSize
  }

  take(line: SeenLine): void {
    if (this.#held !== undefined) this.#place(this.#held, line)
    this.#held = line
  }

  #place(line: SeenLine, after: SeenLine | undefined): void {
    const { seq } = line
    if (!line.isGenuine || seq === undefined) this.#wait(line)
    else if (seq < this.#next) this.#stray(seq, after?.seq)
    else if (!this.#isAhead(seq, line, after)) this.#goTo(seq)
    else if (line.isProven) this.#stray(seq, after?.seq)
    else this.#wait(line)
  }

  /** Whether the log goes on behind the line as if the line were not what it says: then no records were taken out before it. */
  #isAhead(seq: number, line: SeenLine, after: SeenLine | undefined): boolean {
    const reach = this.#next + this.#row.length
    if (seq <= reach) return false
    if (after === undefined) return !line.isProven
    return after.isGenuine && after.seq !== undefined && after.seq >= this.#next && after.seq <= reach + 1
  }

  #wait(line: SeenLine): void {
    if (this.#row.length < REMEMBERED_MAX) this.#row.push(line)
    else this.#findings.skip()
  }

  #stray(seq: number, after: number | undefined): void {
    const isSwapped = seq === this.#next + 1 && after === this.#next
    if (this.#strays.length >= REMEMBERED_MAX) this.#findings.skip()
    else this.#strays.push({ seq, neighbour: isSwapped ? after : undefined })
  }

  /** The record `seq` is in its place: the row before it took places up to it, what is left of them is missing. */
  #goTo(seq: number): void {
    if (seq !== this.#next || this.#row.length > 0) this.#nameRow({ from: this.#next, to: seq })
    this.#next = seq + 1
  }

  /** A line that says which of the places it has is believed; the others stand for the lowest that are left. */
  #nameRow(places: Range): void {
    const row = this.#row
    this.#row = []
    const taken = new Set<number>()
    const unplaced: SeenLine[] = []
    for (const line of row) {
      if (line.seq === undefined || line.seq < places.from || line.seq >= places.to || taken.has(line.seq)) {
        unplaced.push(line)
        continue
      }
      taken.add(line.seq)
      this.#findings.add({ kind: 'ALTERED', seq: line.seq })
    }
    let free = places.from
    for (const line of unplaced) {
      while (taken.has(free)) free += 1
      this.#nameUnplaced(line, { place: free, isFree: free < places.to })
      if (free < places.to) taken.add(free)
    }
    this.#miss(places, taken)
  }

  /** A line without a place of its own was put in: a second of the record it names, or before the next record. */
  #nameUnplaced(line: SeenLine, at: { readonly place: number; readonly isFree: boolean }): void {
    if (line.seq === undefined) this.#findings.add({ kind: 'CORRUPT_LINE', seq: at.place })
    else if (at.isFree) this.#findings.add({ kind: 'ALTERED', seq: at.place })
    else this.#findings.add({ kind: 'DUPLICATE', seq: line.seq })
  }

  #miss(places: Range, taken: ReadonlySet<number>): void {
    let { from } = places
    for (const seq of [...taken].toSorted((a, b) => a - b)) {
      if (seq > from) this.#addMissing({ from, to: seq })
      from = seq + 1
    }
    if (from < places.to) this.#addMissing({ from, to: places.to })
  }

  #addMissing(range: Range): void {
    if (this.#missing.length >= REMEMBERED_MAX) this.#findings.skip()
    else this.#missing.push(range)
  }

  /** Lines behind the last signed record that are no records are an unfinished write, as they are to a starting writer. */
  end(): { readonly size: number; readonly list: FindingList } {
    if (this.#held !== undefined) this.#place(this.#held, undefined)
    this.#held = undefined
    const signed = this.#signedSize
    if (this.#next < signed) {
      const reached = Math.min(signed, this.#next + this.#row.length)
      this.#nameRow({ from: this.#next, to: reached })
      this.#next = reached
      if (reached < signed) this.#addMissing({ from: reached, to: signed })
    }
    for (const stray of this.#strays) this.#nameStray(stray)
    for (const range of this.#missing) this.#nameMissing(range)
    return { size: this.#next, list: this.#findings }
  }

  #nameStray(stray: Stray): void {
    const range = this.#missing.find(({ from, to }) => stray.seq >= from && stray.seq < to)
    if (range === undefined) {
      this.#findings.add({ kind: 'DUPLICATE', seq: stray.seq })
      return
    }
    const rest = [
      { from: range.from, to: stray.seq },
      { from: stray.seq + 1, to: range.to },
    ].filter(({ from, to }) => from < to)
    this.#missing = this.#missing.flatMap((other) => (other === range ? rest : [other]))
    if (stray.neighbour !== undefined) this.#findings.add({ kind: 'REORDERED', seq: stray.neighbour })
    this.#findings.add({ kind: 'REORDERED', seq: stray.seq })
  }

  #nameMissing({ from, to }: Range): void {
    if (to === this.#signedSize) this.#findings.add({ kind: 'TRUNCATED', have: from, signed: to })
    else this.#findings.add({ kind: 'MISSING', from, to: to - 1 })
  }
}
