/**
 * The ways to capture changes that are compared: the transaction log (Debezium), queries (the poller), and the same queries with the key
 * sweep, which finds deletes.
 */
export const strategies = ['log', 'query', 'sweep'] as const;
export type Strategy = (typeof strategies)[number];

/** One value for each strategy. The third is null where nobody runs it: log and query alone are a comparison too. */
export type PerStrategy<T extends object | string> = { readonly log: T; readonly query: T; readonly sweep: T | null };

/** The strategies that are there, each with its value. */
export function entriesOf<T extends object | string>(values: PerStrategy<T>): readonly (readonly [strategy: Strategy, value: T])[] {
  const { log, query, sweep } = values;
  return [['log', log], ['query', query], ...(sweep === null ? [] : [['sweep', sweep] as const])];
}

export function mapStrategies<T extends object | string, U extends object | string>(
  values: PerStrategy<T>,
  make: (value: T, strategy: Strategy) => U,
): PerStrategy<U> {
  const { log, query, sweep } = values;
  return { log: make(log, 'log'), query: make(query, 'query'), sweep: sweep === null ? null : make(sweep, 'sweep') };
}

/** {@link mapStrategies} for asynchronous work, all at the same time. */
export async function mapStrategiesAsync<T extends object | string, U extends object | string>(
  values: PerStrategy<T>,
  make: (value: T, strategy: Strategy) => Promise<U>,
): Promise<PerStrategy<U>> {
  const { log, query, sweep } = values;
  const [first, second, third] = await Promise.all([make(log, 'log'), make(query, 'query'), sweep === null ? null : make(sweep, 'sweep')]);
  return { log: first, query: second, sweep: third };
}

/** {@link mapStrategiesAsync}, one after the other: for work that shares a connection. */
export async function mapStrategiesInTurn<T extends object | string, U extends object | string>(
  values: PerStrategy<T>,
  make: (value: T, strategy: Strategy) => Promise<U>,
): Promise<PerStrategy<U>> {
  const { log, query, sweep } = values;
  return { log: await make(log, 'log'), query: await make(query, 'query'), sweep: sweep === null ? null : await make(sweep, 'sweep') };
}
