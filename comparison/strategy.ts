/** The two ways to capture changes that are compared: the transaction log (Debezium) and queries (the poller). */
export const strategies = ['log', 'query'] as const;
export type Strategy = (typeof strategies)[number];

/** One value for each strategy. */
export type PerStrategy<T> = Readonly<Record<Strategy, T>>;

export function perStrategy<T>(make: (strategy: Strategy) => T): PerStrategy<T> {
  return { log: make('log'), query: make('query') };
}

/** {@link perStrategy} for asynchronous work, both at the same time. */
export async function perStrategyAsync<T>(make: (strategy: Strategy) => Promise<T>): Promise<PerStrategy<T>> {
  const [log, query] = await Promise.all([make('log'), make('query')]);
  return { log, query };
}
