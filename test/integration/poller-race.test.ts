import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testKafka } from '#test/support/kafka.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { assertExact, finalVersions } from '#test/support/published.ts';
import { createRaceTable, race } from '#test/support/race.ts';
import { repeat } from '#test/support/repeat.ts';
import { uniqueName } from '#test/support/stack.ts';
import { waitFor } from '#stack/index.ts';

type Watermark = {
  /** The time of the last row that was seen. */
  at(): string;
  /** Looks once more; gives all versions that were seen. */
  stop(): Promise<ReadonlySet<string>>;
};

/** What people write by hand: everything after the last row that was seen. */
async function startWatermark(database: LegacyDatabase): Promise<Watermark> {
  const client = new Client({ ...database.poller, application_name: 'watermark' });
  await client.connect();
  const seen = new Set<string>();
  let last = { updated_at: '-infinity', id: '0' };
  const look = async (): Promise<void> => {
    const { rows } = await client.query<{ id: string; updated_at: string; xmin: string }>(
      'SELECT id, updated_at::text, xmin::text FROM race WHERE (race.updated_at, id) > ($1, $2) ORDER BY race.updated_at, id',
      [last.updated_at, last.id],
    );
    for (const row of rows) seen.add(`{"id":${row.id}}@${row.xmin}`);
    last = rows.at(-1) ?? last;
  };
  const looking = repeat(async () => {
    await look();
    await delay(100);
  });
  return {
    at: () => last.updated_at,
    async stop() {
      try {
        await looking.stop();
        await look();
      } finally {
        await client.end();
      }
      return seen;
    },
  };
}

/** Writes a row that no other writer touches (ids below 0), and commits it when the watermark is past its time: that row a watermark must lose. */
async function commitLate(database: LegacyDatabase, id: number, watermark: Watermark): Promise<void> {
  const client = new Client({ ...database.owner, application_name: 'late writer' });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query("INSERT INTO race (id, value) VALUES ($1, 'late')", [id]);
    await database.query("INSERT INTO race (value) VALUES ('overtakes it')");
    const isPast = async (): Promise<boolean> =>
      (await client.query<{ past: boolean }>('SELECT $1::timestamptz > now() AS past', [watermark.at()])).rows[0]?.past ?? false;
    await waitFor(isPast, { signal: AbortSignal.timeout(60_000), timeoutMs: 60_000, describe: 'the watermark is past the row' });
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
}

test('16 writers with savepoints, rollbacks and late commits: every final row version is published, none twice; a plain watermark loses some', async () => {
  const kafka = await testKafka();
  await using database = await createLegacyDatabase({ empty: true });
  await createRaceTable(database);
  const name = uniqueName('race');
  const config = await testPipelineConfig(database, { name, pollIntervalMs: 100, clockMarginMs: 50, tables: [{ table: 'public.race' }] });
  await using poller = startTestPoller(config);
  const watermark = await startWatermark(database);
  const racing = race(database, { writers: 16, seconds: 6, committedMin: 500 });
  let late = 0;
  await using committing = repeat(async () => {
    late += 1;
    await commitLate(database, -late, watermark);
  });
  await racing;
  await committing.stop();
  const seenByWatermark = await watermark.stop();
  await untilPublished(kafka, config, database);
  await assertExact(kafka, database, 'race', `${name}.public.race`);
  const missed = (await finalVersions(database, 'race')).filter(
    (version) => version.startsWith('{"id":-') && !seenByWatermark.has(version),
  );
  assert.equal(missed.length, late, 'rows that a plain watermark must lose were seen by it: the race showed nothing');
  await poller.stop();
});
