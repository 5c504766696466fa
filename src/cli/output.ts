/**
 * How every command speaks: data on stdout, talk on stderr, exit codes as an interface.
 */

/** What a command's exit says; scripts rely on these. */
export const EXIT = {
  good: 0,
  /** The command worked and found something wrong in what it looked at. */
  findings: 1,
  /** Wrong flag, missing file, malformed input. */
  usage: 2,
  /** A store, socket or file failed while working. */
  unfinished: 3,
  /** Verification failed: the log was tampered with. Distinct because people are woken for it. */
  tampered: 4,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Streams a command writes to, so that tests and pipes see exactly what a person sees. */
export interface Terminal {
  readonly out: (text: string) => void
  readonly talk: (text: string) => void
}

/** What each command gets: where to write, and where to put its exit code. */
export interface Cli {
  readonly terminal: Terminal
  exit(code: ExitCode): void
}

export const processTerminal: Terminal = {
  out: (text) => void process.stdout.write(`${text}\n`),
  talk: (text) => void process.stderr.write(`${text}\n`),
}

/** A wrong use of the command line: one sentence that says what to do. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The log is not what was signed. */
export class TamperedError extends Error {
  override readonly name = 'TamperedError'
}

/** Plain aligned columns; numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const numeric = header.map((_, column) => rows.every((row) => /^-?[\d.,$]+$/.test(row[column] ?? '')))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        numeric[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  return [line(header), ...rows.map(line)].join('\n')
}

/** JSON for machines: bigints as strings, stable schema version first. */
export function json(value: object): string {
  const plain = (_key: string, member: unknown) => (typeof member === 'bigint' ? member.toString() : member)
  return JSON.stringify({ schemaVersion: 1, ...value }, plain, 2)
}
