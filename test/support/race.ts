import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { LegacyDatabase } from './legacy-database.ts';

/** A table as the race writes it; the trigger stamps rows with the start of their transaction, as legacy systems do. */
export async function createRaceTable(database: LegacyDatabase): Promise<void> {
  await database.query(`
    CREATE TABLE race (id bigserial PRIMARY KEY, value text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE INDEX ON race (updated_at, id);
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.updated_at := now(); RETURN NEW; END';
    CREATE TRIGGER stamp BEFORE UPDATE ON race FOR EACH ROW EXECUTE FUNCTION stamp();
    GRANT SELECT ON race TO cdc_poller;`);
}

/**
 * Writers that commit out of order: inserts and updates inside savepoints that are kept or rolled back, whole rollbacks, transactions that
 * stay open for a moment after writing, and a few (2%) that stay open long. Ends when `seconds` are over and all have ended; on a slow
 * machine later, when `committedMin` transactions have committed.
 */
export async function race(
  database: LegacyDatabase,
  {
    writers = 16,
    seconds = 5,
    committedMin = 0,
  }: { readonly writers?: number; readonly seconds?: number; readonly committedMin?: number } = {},
): Promise<void> {
  const until = performance.now() + seconds * 1000;
  let committed = 0;
  const write = async (): Promise<void> => {
    const client = new Client({ ...database.owner, application_name: 'race writer' });
    await client.connect();
    try {
      while (performance.now() < until || committed < committedMin) {
        await client.query('BEGIN');
        await change(client);
        if (Math.random() < 0.5) {
          await client.query('SAVEPOINT s');
          await change(client);
          await client.query(Math.random() < 0.5 ? 'ROLLBACK TO SAVEPOINT s' : 'RELEASE SAVEPOINT s');
          if (Math.random() < 0.5) await change(client);
        }
        const pause = Math.random() < 0.02 ? 300 + Math.random() * 700 : Math.random() * 20;
        await delay(pause);
        const rollback = Math.random() < 0.1;
        await client.query(rollback ? 'ROLLBACK' : 'COMMIT');
        if (!rollback) committed += 1;
      }
    } finally {
      await client.end();
    }
  };
  await Promise.all(Array.from({ length: writers }, write));
}

/** Locks one row at most, and skips those that others hold, so that writers never wait for one another. */
async function change(client: Client): Promise<void> {
  if (Math.random() < 0.4) {
    await client.query('INSERT INTO race (value) SELECT md5(random()::text) FROM generate_series(1, 1 + (random() * 2)::int)');
    return;
  }
  await client.query(`
    UPDATE race SET value = md5(random()::text)
    WHERE id IN (SELECT id FROM race WHERE id > (SELECT floor(random() * coalesce(max(id), 0)) FROM race) ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED)`);
}
