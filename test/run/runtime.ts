/** Type stripping is stable, and silent, from here on. */
const NODE_OLDEST = { major: 24, minor: 12 }

/** Says what to do when this Node cannot run the project, else nothing. */
export function explainNode(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const { major: least, minor: leastMinor } = NODE_OLDEST
  if (major > least || (major === least && minor >= leastMinor)) return undefined
  return `Node ${least}.${leastMinor} or newer is needed and this is ${version}: run npm ci, then npm test, which use the project's own Node`
}
