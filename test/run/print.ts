/** One line of talk. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

export function sayHeading(title: string): void {
  say(`\n== ${title} ==`)
}
