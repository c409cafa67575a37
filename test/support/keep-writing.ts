import { setTimeout as delay } from 'node:timers/promises';

/** Inserts into and updates tables with `id`, `value` and `updated_at`, one after the other, until disposed. */
export function keepWriting(query: (sql: string) => Promise<unknown>, tables: readonly string[]): AsyncDisposable {
  const over = new AbortController();
  const writing = (async () => {
    for (let round = 0; !over.signal.aborted; round += 1) {
      const table = tables[round % tables.length];
      await query(`INSERT INTO ${table} (value) VALUES ('written')`);
      await query(`UPDATE ${table} SET value = 'changed', updated_at = clock_timestamp() WHERE id = 1 + floor(random() * 2000)::int`);
      await delay(20);
    }
  })();
  writing.catch(() => undefined);
  return {
    async [Symbol.asyncDispose]() {
      over.abort();
      await writing;
    },
  };
}
