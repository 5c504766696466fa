import { z } from 'zod'

/** One measurement: who is asked, what, by how many at once, for how long. */
export const jobSchema = z.object({
  url: z.url(),
  token: z.string(),
  stream: z.boolean(),
  lanes: z.int().min(1),
  seconds: z.number().positive(),
  /** The only status that counts as done. */
  status: z.int(),
})
export type Job = z.infer<typeof jobSchema>

/** What came of it. Calls that failed or had another status are in `failures` alone. */
export const resultSchema = z.object({
  calls: z.int(),
  seconds: z.number(),
  failures: z.int(),
  firstFailure: z.string().optional(),
  p50Ms: z.number(),
  p99Ms: z.number(),
  firstP50Ms: z.number(),
})
export type Result = z.infer<typeof resultSchema>
