import { setTimeout as delay } from 'node:timers/promises';
import { findCoordinatorV4, FindCoordinatorKeyTypes, type Base, type Connection } from '@platformatic/kafka';
import { attempts, backOffMs } from './client-options.ts';
import { isPassing, isSilence } from './errors.ts';

/** The broker that keeps a transactional id. */
export type Coordinator = {
  /** Asks it, and asks again, it or the one that took its place, while what it says is passing. */
  ask<T>(question: (connection: Connection) => Promise<T>): Promise<T>;
};

export function transactionCoordinator(client: Base, transactionalId: string): Coordinator {
  let address: { readonly host: string; readonly port: number } | null = null;
  const find = async (): Promise<Connection> => {
    if (address === null) {
      const { brokers } = await client.metadata({ topics: [] });
      const any = await client.connections.getFirstAvailable([...brokers.values()]);
      const { coordinators } = await findCoordinatorV4.api.async(any, FindCoordinatorKeyTypes.TRANSACTION, [transactionalId]);
      address = coordinators.find(({ key }) => key === transactionalId) ?? null;
    }
    if (address === null) throw new TypeError(`no coordinator was named for ${transactionalId}`);
    return await client.connections.get(address);
  };
  return {
    async ask(question) {
      for (let attempt = 0; ; attempt += 1) {
        try {
          return await question(await find());
        } catch (error) {
          if (attempt >= attempts || !isPassing(error) || isSilence(error)) throw error;
          address = null;
          // The first wait is short: a transaction right after another finds the former's markers still being written.
          await delay(attempt === 0 ? 3 : backOffMs(attempt - 1));
        }
      }
    },
  };
}
