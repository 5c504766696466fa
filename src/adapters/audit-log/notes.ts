/** Reads files of signed notes: `checkpoint` holds one, `checkpoints.notes` one after another. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { isMissing } from './durable-file.ts'
import { readLines } from './segments.ts'

/** A note's text never begins a line like this; its signatures always do. */
const SIGNATURE_START = '\u2014 '

/** A log's own signature and those of its witnesses: longer notes are no notes. */
const NOTE_LINES_MAX = 200

/** The notes of a file in order. What stands behind the last whole note, such as half of one, is the last that is given. */
export async function* readNotes(path: string): AsyncGenerator<string> {
  let note: string[] = []
  for await (const lines of readLines(path)) {
    for (const line of lines) {
      const text = line.bytes.toString('utf8')
      const begins = note.at(-1)?.startsWith(SIGNATURE_START) === true && !text.startsWith(SIGNATURE_START)
      if (begins || note.length >= NOTE_LINES_MAX) {
        yield `${note.join('\n')}\n`
        note = []
      }
      note.push(text)
    }
  }
  if (note.length > 0) yield `${note.join('\n')}\n`
}

/** Holds a note with the signatures of some fifty witnesses. */
const END_BYTES = 16 * 1024

/** The end of a file as text, empty when there is no file. */
export function readEnd(path: string): string {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    if (isMissing(error)) return ''
    throw error
  }
  try {
    const bytes = Buffer.alloc(END_BYTES)
    const read = readSync(fd, bytes, 0, END_BYTES, Math.max(0, fstatSync(fd).size - END_BYTES))
    return bytes.toString('utf8', 0, read)
  } finally {
    closeSync(fd)
  }
}

/** Lines of a note before the empty one: origin, size, root. */
const TEXT_LINES = 3

/** The last note of a text of notes; whether it is one, its signature says. */
export function lastNote(notes: string): string {
  const lines = notes.split('\n')
  return lines.slice(Math.max(0, lines.lastIndexOf('', -2) - TEXT_LINES)).join('\n')
}
