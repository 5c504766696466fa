// The interface lives in src/domain/dialect.ts, where the steps can see it: import it from there.
export type * from '../domain/dialect.ts'
