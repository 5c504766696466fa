import { describe, expect, it } from 'vitest'
import { summaryLine, tally } from './report.ts'

const report = (...files: object[]) => JSON.stringify({ testResults: files })
const file = (status: string, tests: object[], message = '') => ({
  name: 'a.test.ts',
  status,
  message,
  assertionResults: tests,
})
const test = (status: string, failureMessages: string[] = []) => ({
  fullName: ` ${status} one`,
  status,
  failureMessages,
})

describe('the count of a test report', () => {
  it('counts each test once, by what became of it', () => {
    const seen = tally(report(file('failed', [test('passed'), test('passed'), test('failed', ['no\nstack'])])))
    expect(seen).toMatchObject({ passed: 2, failed: 1, skipped: 0, failures: ['a.test.ts: failed one: no'] })
    expect(summaryLine(seen)).toBe('2 passed, 1 failed, 0 skipped')
  })

  it.each(['skipped', 'pending', 'todo', 'disabled'])('counts a test that is %s as skipped', (status) => {
    expect(tally(report(file('passed', [test('passed'), test(status)])))).toMatchObject({ passed: 1, skipped: 1 })
  })

  it('counts a file that could not be loaded as a failure', () => {
    const seen = tally(report(file('failed', [], 'Cannot find module')))
    expect(seen).toMatchObject({ passed: 0, failed: 1, failures: ['a.test.ts: Cannot find module'] })
  })

  it('counts a file whose tests passed but whose hook threw as a failure', () => {
    expect(tally(report(file('failed', [test('passed')], 'afterAll threw')))).toMatchObject({ passed: 1, failed: 1 })
  })

  it('refuses a report that is not one', () => {
    expect(() => tally('{"testResults": 3}')).toThrow(/expected array/)
  })
})
