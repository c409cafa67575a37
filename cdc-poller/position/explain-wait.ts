import { readToEnd, type Kafka } from '#kafka/index.ts';

/** Takes one line about what lasts. */
export type Progress = (text: string) => void;

/** When it is first reported what a reading waits for, and how often from then on, in ms. */
const firstMs = 2000;
const againMs = 5000;

export type Waits = Disposable & {
  /** So far a partition is read. */
  readonly reached: (partition: number, nextOffset: bigint) => void;
};

/**
 * Tells what a reading of a positions topic waits for when it lasts: committed records end where the oldest open transaction begins, of whichever
 * table it is. `tableOf` reads a record's key.
 */
export function reportWaits(kafka: Kafka, topic: string, tableOf: (key: string) => string, progress: Progress): Waits {
  const began = performance.now();
  const over = new AbortController();
  const reached = new Map<number, bigint>();
  const report = async (): Promise<void> => {
    const what = await whatIsOpen(kafka, topic, reached, tableOf, over.signal).catch(() => '');
    if (!over.signal.aborted) progress(`reading ${topic} (${Math.round((performance.now() - began) / 1000)} s)${what}`);
  };
  let timer = setTimeout(function later() {
    timer = setTimeout(later, againMs);
    void report();
  }, firstMs);
  return {
    reached: (partition, nextOffset) => void reached.set(partition, nextOffset),
    [Symbol.dispose]() {
      clearTimeout(timer);
      over.abort();
    },
  };
}

/** Whose transaction the first record that is not committed belongs to; nothing is said of a reading that goes on. */
async function whatIsOpen(
  kafka: Kafka,
  topic: string,
  reached: ReadonlyMap<number, bigint>,
  tableOf: (key: string) => string,
  signal: AbortSignal,
): Promise<string> {
  const places = new Map(reached);
  const open: string[] = [];
  await readToEnd(
    kafka,
    topic,
    ({ key, offset }, partition) => {
      const from = places.get(partition);
      if (from === undefined || offset < from) return;
      places.delete(partition);
      if (reached.get(partition) === from) open.push(`${tableOf(String(key))} (partition ${partition}, offset ${offset})`);
    },
    signal,
    { readUncommitted: true },
  );
  if (open.length === 0) return '';
  const ends = 'one that a killed process left open ends when a poller takes that table over, or a minute after it began';
  return `: it waits for the end of a transaction of table ${open.join(', ')}; ${ends}`;
}
