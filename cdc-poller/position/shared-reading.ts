import { unlessAborted } from '#pipeline/index.ts';
import type { StoredTable } from './position-topic.ts';

/**
 * The committed positions of a poller, as they were after the call or later.
 *
 * @throws CdcError as readPositionTopic; the signal's reason
 */
export type PositionReading = (signal: AbortSignal) => Promise<ReadonlyMap<string, StoredTable>>;

/**
 * One reading for all tables that ask while the one before it is under way. A table needs no reading of its own, only one that begins after it has been
 * taken over. If each of a thousand tables read the topic, which grows with the tables, a start would take a million records.
 *
 * @param read reads the positions of all tables; a reading that fails fails for all who wait for it
 */
export function shareReading(read: () => Promise<ReadonlyMap<string, StoredTable>>): PositionReading {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<ReadonlyMap<string, StoredTable>> | null = null;
  const begin = (): Promise<ReadonlyMap<string, StoredTable>> => {
    // Whoever asks from now on asks after it has begun.
    next = null;
    return read();
  };
  return (signal) => {
    if (next === null) {
      next = running.then(begin);
      running = next.catch(() => undefined);
    }
    return unlessAborted(next, signal);
  };
}
