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
import { uniqueName } from '#test/support/stack.ts';

/** What people write by hand: everything after the last row that was seen. */
async function watermarkVersions(database: LegacyDatabase, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const client = new Client({ ...database.poller, application_name: 'watermark' });
  await client.connect();
  const seen = new Set<string>();
  let last = { updated_at: '-infinity', id: '0' };
  try {
    for (let lastRound = false; !lastRound;) {
      lastRound = signal.aborted;
      const { rows } = await client.query<{ id: string; updated_at: string; xmin: string }>(
        'SELECT id, updated_at::text, xmin::text FROM race WHERE (race.updated_at, id) > ($1, $2) ORDER BY race.updated_at, id',
        [last.updated_at, last.id],
      );
      for (const row of rows) seen.add(`{"id":${row.id}}@${row.xmin}`);
      last = rows.at(-1) ?? last;
      if (!lastRound) await delay(100);
    }
  } finally {
    await client.end();
  }
  return seen;
}

test('16 writers with savepoints, rollbacks and late commits: every final row version is published, none twice; a plain watermark loses some', async () => {
  const kafka = await testKafka();
  await using database = await createLegacyDatabase({ empty: true });
  await createRaceTable(database);
  const name = uniqueName('race');
  const config = await testPipelineConfig(database, { name, pollIntervalMs: 100, clockMarginMs: 50, tables: [{ table: 'public.race' }] });
  await using poller = startTestPoller(config);
  const over = new AbortController();
  const watermark = watermarkVersions(database, over.signal);
  const committed = await race(database, { writers: 16, seconds: 6 });
  over.abort();
  assert.ok(committed > 500, `only ${committed} transactions`);
  await untilPublished(kafka, config, database);
  await assertExact(kafka, database, 'race', `${name}.public.race`);
  const seenByWatermark = await watermark;
  const lost = (await finalVersions(database, 'race')).filter((version) => !seenByWatermark.has(version));
  assert.ok(lost.length > 0, 'the race was too tame: even a plain watermark lost nothing');
  await poller.stop();
});
