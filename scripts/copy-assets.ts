/**
 * Finishes `npm run build`: what the compiler leaves alone. Scripts and styles that stand beside the code are copied to
 * the same place in dist, and the entries of workers, which are named by URL and not by import, get their new ending.
 * Output whose source is gone is removed. `policies/` and `pricing/` are not copied: dist stands as deep as src, so both find them at the root of the package.
 */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const SOURCE = join(ROOT, 'src')
const DIST = join(ROOT, 'dist')

const WORKER = /(new URL\(\s*['"])(\.{1,2}\/[^'"\n]+)\.ts(['"]\s*,\s*import\.meta\.url)/g

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

function copyAssets(): number {
  const assets = filesBelow(SOURCE).filter((file) => !file.endsWith('.ts'))
  for (const file of assets) cpSync(file, join(DIST, relative(SOURCE, file)))
  return assets.length
}

/** The compiler never removes, so a module that was renamed would live on under its old name. */
function removeOrphans(): void {
  for (const file of filesBelow(DIST)) {
    const asset = join(SOURCE, relative(DIST, file))
    if (!existsSync(asset) && !existsSync(asset.replace(/\.js(?:\.map)?$/, '.ts'))) rmSync(file)
  }
}

/** An entry that is not in dist would only be missed when its worker starts. */
function renameWorkers(file: string): number {
  const text = readFileSync(file, 'utf8')
  let count = 0
  const renamed = text.replaceAll(WORKER, (_, before: string, entry: string, after: string) => {
    if (!existsSync(resolve(dirname(file), `${entry}.js`))) throw new Error(`${file}: no worker ${entry}.js beside it`)
    count += 1
    return `${before}${entry}.js${after}`
  })
  if (count > 0) writeFileSync(file, renamed)
  return count
}

removeOrphans()
const scripts = filesBelow(DIST).filter((file) => file.endsWith('.js'))
if (scripts.length === 0) throw new Error(`${DIST} holds no code; run npm run build, which compiles first`)
const assets = copyAssets()
const workers = scripts.reduce((sum, file) => sum + renameWorkers(file), 0)
process.stdout.write(`dist: ${scripts.length} files of code, ${assets} assets, ${workers} worker entries\n`)
