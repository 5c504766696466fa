/** Reads files of signed notes: `checkpoint` holds one, `checkpoints.notes` one after another. */
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
