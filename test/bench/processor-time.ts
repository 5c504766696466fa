import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Linux counts a process's time in hundredths of a second, whatever the kernel's own tick. */
const TICKS_PER_SECOND = 100

/** Microseconds of processor a process and its threads have used, to a hundredth of a second. */
export function processorMicros(pid: number): number {
  if (process.platform !== 'linux') return fromPs(pid)
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name of the process may hold spaces and brackets; the fields after its last bracket hold neither.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1e6
}

/** `ps` prints [[hours:]minutes:]seconds. */
function fromPs(pid: number): number {
  const text = execFileSync('ps', ['-o', 'time=', '-p', String(pid)], { encoding: 'utf8' }).trim()
  return text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0) * 1e6
}
