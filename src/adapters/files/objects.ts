import { mkdir, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Keeps a document under its own SHA-256, so that every record that names a policy digest or a price version can be
 * recomputed from what was in force. Written aside and renamed; a document that is there already is left alone.
 */
export async function keepObject(folder: string, sha256: string, text: string): Promise<void> {
  const path = join(folder, `${sha256}.json`)
  if (await exists(path)) return
  await mkdir(folder, { recursive: true })
  const aside = `${path}.${process.pid}`
  await writeFile(aside, text)
  await rename(aside, path)
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch {
    return false
  }
}
