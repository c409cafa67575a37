import type { ClientBase, PoolClient } from 'pg';
import { CdcError } from '#pipeline/index.ts';

/** The connection of a handler's transaction, to query with. consume begins, commits and releases. */
export type Tx = ClientBase;

export type GuardedClient = {
  readonly tx: Tx;
  /** The handler is over: its connection takes no more queries. */
  readonly close: () => void;
  /** What the handler did to its connection that it must not; null when nothing. */
  readonly taken: () => string | null;
};

/** What would take the connection away from the transaction. */
const forbidden: ReadonlySet<string | symbol> = new Set(['release', 'end', 'connect']);

/** The client as a handler gets it. What it must not do fails, and is remembered for a handler that goes on all the same. */
export function guardClient(client: PoolClient): GuardedClient {
  let over = false;
  let taken: string | null = null;
  const tx = new Proxy(client, {
    get: (target, name): unknown => {
      if (forbidden.has(name)) {
        return () => {
          taken = `the handler called ${String(name)}() of its connection`;
          throw new CdcError('CONSUMER_CONNECTION_TAKEN', taken);
        };
      }
      if (over && name === 'query') throw new CdcError('CONSUMER_CONNECTION_TAKEN', 'a handler queried with its tx after it was over');
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (...given: unknown[]): unknown => Reflect.apply(value, target, given) : value;
    },
  });
  return {
    tx,
    close: () => {
      over = true;
    },
    taken: () => taken,
  };
}
