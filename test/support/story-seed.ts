/**
 * What random stories begin with. In CI they are the same every time, so that a change is judged by itself and not by luck;
 * everywhere else each run tells new ones.
 */
export const STORY_SEED = process.env['CI'] === undefined ? {} : { seed: 20_261_121 }
