import { setTimeout as delay } from 'node:timers/promises';
import type { LegacyDatabase } from '#test/support/legacy-database.ts';
import type { ReadDatabase } from '#test/support/read-database.ts';

/** From the commit's answer in the writer to the first look that found the row so in the view, in ms. */
export type Visibility = {
  readonly updates: number;
  readonly latenciesMs: readonly number[];
  /** Between two looks, what they took included: what the latencies may be too long by. */
  readonly meanLookMs: number;
};

export type VisibilityOptions = {
  readonly seconds: number;
  readonly updatesPerSecond: number;
  /** The query that a reader asks: order ids and notes of those whose id is in $1. */
  readonly viewQuery: string;
};

const lookEveryMs = 2;
const limitMs = 30_000;

/** Updates single rows of orders at an even pace, each in a transaction of its own and a row of its own, and watches them arrive. */
export async function measureVisibility(
  database: LegacyDatabase,
  read: ReadDatabase,
  mark: string,
  { seconds, updatesPerSecond, viewQuery }: VisibilityOptions,
): Promise<Visibility> {
  const pending = new Map<string, { readonly note: string; readonly committedAt: number }>();
  const latenciesMs: number[] = [];
  const written = new AbortController();
  let looks = 0;
  const began = performance.now();
  const watch = async (): Promise<void> => {
    let lastSeen = performance.now();
    while (!written.signal.aborted || pending.size > 0) {
      if (performance.now() - lastSeen > limitMs) throw new Error(`${pending.size} updates were not visible within ${limitMs / 1000} s`);
      const ids = [...pending.keys()];
      const rows = ids.length === 0 ? [] : await read.query(viewQuery, [`{${ids.join(',')}}`]);
      const at = performance.now();
      looks += 1;
      if (ids.length === 0) lastSeen = at;
      for (const { id, note } of rows) {
        const sent = pending.get(id ?? '');
        if (sent === undefined || sent.note !== note) continue;
        latenciesMs.push(at - sent.committedAt);
        pending.delete(id ?? '');
        lastSeen = at;
      }
      await delay(lookEveryMs);
    }
  };
  const watching = watch();
  // Reported below; a failure while rows are written must not end the process.
  watching.catch(() => undefined);
  const total = updatesPerSecond * seconds;
  for (let index = 0; index < total; index += 1) {
    const wait = began + (index * 1000) / updatesPerSecond - performance.now();
    if (wait > 1) await delay(wait);
    const note = `${mark} ${index}`;
    await database.query('UPDATE orders SET note = $1 WHERE id = $2', [note, index + 1]);
    pending.set(String(index + 1), { note, committedAt: performance.now() });
  }
  written.abort();
  await watching;
  return { updates: total, latenciesMs, meanLookMs: (performance.now() - began) / Math.max(1, looks) };
}
