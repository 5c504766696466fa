import type { Finding, SourceFile } from './source.ts'

/** Lower case words joined by hyphens, then one ending, or two where the first says what kind of file it is. */
const KEBAB = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.[a-z0-9]+$/
const FOLDER = /^[a-z0-9]+(?:-[a-z0-9]+)*$/
/** Names that promise nothing, and so attract everything. */
const EMPTY = /^(?:index|utils?|helpers?|types|common|misc|shared|lib)\.ts$/

export function findBadNames(files: readonly Pick<SourceFile, 'path'>[]): readonly Finding[] {
  return files.flatMap(({ path }) => {
    const folders = path.split('/')
    const name = folders.pop() ?? ''
    if (EMPTY.test(name)) return [`${path}: name the file for its one concept`]
    return KEBAB.test(name) && folders.every((folder) => FOLDER.test(folder)) ? [] : [`${path}: use kebab-case`]
  })
}
