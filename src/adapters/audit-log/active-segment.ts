import { unlinkSync } from 'node:fs'
import type { Disk } from './disk.ts'
import { syncFolder } from './durable-file.ts'
import { logPaths } from './log-description.ts'
import type { LogFolder } from './log-folder.ts'
import { segmentAt } from './segments.ts'
import type { Segment } from './segments.ts'

/** The segment that grows. */
export interface ActiveSegment {
  readonly segment: Segment
  readonly fd: number
}

/** Makes the file of the segment that begins with record `first`, with its name on disk, or leaves none behind. */
export function beginSegment(on: { readonly folder: LogFolder; readonly disk: Disk }, first: number): ActiveSegment {
  const folder = logPaths(on.folder.dir).segments
  const segment = segmentAt(folder, first)
  const fd = on.disk.open(segment.path, 'new')
  try {
    syncFolder(folder)
  } catch (error) {
    on.disk.close(fd)
    unlinkSync(segment.path)
    throw error
  }
  return { segment, fd }
}
