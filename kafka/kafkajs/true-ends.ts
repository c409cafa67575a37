import type { Kafka } from 'kafkajs';

const readUncommitted = 0;

/**
 * Lets a client's admins ask where partitions end by what has been written. kafkajs asks by what is settled, with no option for it: a broker
 * answers a commit before it has written the transaction's markers, so for some milliseconds that end lies before what was just committed,
 * and who waits for it (a proof of freshness, a rebuild, a read to the end) would leave it out.
 */
export function askForTrueEnds(client: Kafka): void {
  const name = Object.getOwnPropertySymbols(client).find(({ description }) => description === 'private:Kafka:createCluster');
  const createCluster: unknown = name === undefined ? undefined : Reflect.get(client, name);
  if (name === undefined || typeof createCluster !== 'function') throw new TypeError('this kafkajs makes its clusters in another way');
  Reflect.set(client, name, (options: object): unknown =>
    Reflect.apply(createCluster, client, [{ ...options, isolationLevel: readUncommitted }]),
  );
}
