import type { Standing } from './books.ts'

/** Every counter of a caller, as `/v1/limits` tells it. */
export async function standingsOf(url: string, token: string): Promise<readonly Standing[]> {
  const response = await fetch(`${url}/v1/limits`, { headers: { authorization: `Bearer ${token}` } })
  // The shape is the route's own; the tests of routes hold it.
  const { data } = (await response.json()) as { readonly data: readonly Standing[] }
  return data
}
