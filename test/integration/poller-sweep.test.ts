import assert from 'node:assert/strict';
import { test } from 'node:test';
import getPort from 'get-port';
import { pollerCommand } from '#cdc-poller/commands.ts';
import { readHorizonsSwept } from '#cdc-poller/index.ts';
import { sortKeys, type SweepKeyType } from '#cdc-poller/sweep/key-set.ts';
import { sweep, type SweepResult } from '#cdc-poller/sweep/sweep.ts';
import { sweepSource, type SweepSource } from '#cdc-poller/sweep/sweep-source.ts';
import { openSourceSession } from '#cdc-poller/postgres/session.ts';
import { observeTopics, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { pollerEndpoint } from '#test/support/poller-http.ts';
import { terminal } from '#test/support/terminal.ts';
import { eventually } from '#test/support/read-database.ts';
import type { PipelineConfig, PollerConfig } from '#pipeline/index.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { rawMember } from '#test/support/raw-json.ts';
import { uniqueName } from '#test/support/stack.ts';

const limits = { chunkKeys: 1000, listKeys: 50, maxDeletes: 200 };

async function run(source: SweepSource, published: Iterable<string>, keyType: SweepKeyType): Promise<SweepResult> {
  const steps = sweep(source, published, keyType, limits);
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
  }
}

test('on a real table: deleted keys are found among thousands by digest, for integers and for uuids', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`
    CREATE TABLE numbers (id bigint PRIMARY KEY);
    INSERT INTO numbers SELECT n * 7 - 10000 FROM generate_series(1, 5000) AS n;
    CREATE TABLE tokens (id uuid PRIMARY KEY DEFAULT gen_random_uuid());
    INSERT INTO tokens SELECT FROM generate_series(1, 3000);
    GRANT SELECT ON numbers, tokens TO cdc_poller;`);
  await using session = await openSourceSession(database.config, 'test sweep', 10_000);
  for (const [table, keyType] of [
    ['numbers', 'int8'],
    ['tokens', 'uuid'],
  ] as const) {
    const published = (await database.query(`SELECT id::text FROM ${table}`)).map(({ id }) => id ?? '');
    const source = sweepSource((text, values) => session.query(text, values), {
      id: { schema: 'public', table },
      keyColumn: 'id',
      keyType,
    });
    assert.deepEqual(await run(source, published, keyType), { outcome: 'found', missing: [], swept: published.length });
    const sorted = sortKeys(published, keyType);
    const gone = [sorted[0], sorted[1234], sorted[1235], sorted.at(-1)].map((key) => key ?? '');
    await database.query(`DELETE FROM ${table} WHERE id = ANY ($1)`, [gone]);
    const result = await run(source, published, keyType);
    assert.ok(result.outcome === 'found');
    assert.deepEqual(sortKeys(result.missing, keyType), gone);
    await database.query(`TRUNCATE ${table}`);
    assert.equal((await run(source, published, keyType)).outcome, 'too-many');
  }
});

test('rows behind a policy are not taken for deleted ones', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`
    CREATE TABLE numbers (id bigint PRIMARY KEY);
    INSERT INTO numbers VALUES (1), (2);
    GRANT SELECT ON numbers TO cdc_poller;
    ALTER TABLE numbers ENABLE ROW LEVEL SECURITY;
    CREATE POLICY odd ON numbers TO cdc_poller USING (id % 2 = 1);`);
  await using session = await openSourceSession(database.config, 'test sweep', 10_000);
  const source = sweepSource((text, values) => session.query(text, values), {
    id: { schema: 'public', table: 'numbers' },
    keyColumn: 'id',
    keyType: 'int8',
  });
  assert.deepEqual(await run(source, ['1', '2'], 'int8'), { outcome: 'hidden' });
});

/** Whether a row came with the load (`r`) or with a poll (`u`) depends on how long before the start it was written. */
function presence(value: string): string {
  return rawMember(value, 'op') === '"d"' ? 'gone' : 'there';
}

test('the poller publishes deletes that a sweep finds, with tombstone, once; a key that comes back is published after; a truncate is not believed', async () => {
  const kafka = await testKafka();
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`
    CREATE TABLE things (id bigserial PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
    INSERT INTO things SELECT FROM generate_series(1, 2000);
    GRANT SELECT ON things TO cdc_poller;`);
  const name = uniqueName('sweep');
  const topic = `${name}.public.things`;
  const port = await getPort({ host: '127.0.0.1' });
  const endpoint = pollerEndpoint(port, name);
  const sweepSettings = { intervalMs: 100, maxDeletes: 50, chunkKeys: 500 };
  const config = await testPipelineConfig(database, {
    name,
    sharing: 'takeover',
    http: { port },
    pollIntervalMs: 20,
    tables: [{ table: 'public.things', sweep: sweepSettings }],
  });
  const opsOf = (key: string): readonly string[] =>
    observed()
      .filter((message) => String(message.key) === key)
      .map(({ value }) => (value === null ? 'tombstone' : presence(value.toString())));
  await using poller = startTestPoller(config);
  // With another test's transaction open, the load leaves rows to a repair; a key that is gone before it is published is not missed.
  await untilPublished(kafka, config, database);
  await using observer = await observeTopics(kafka, [topic], uniqueName('group'));
  const observed = (): typeof observer.messages => observer.messages;
  await database.query('DELETE FROM things WHERE id IN (1, 777, 2000)');
  const deletes = (): number => observed().filter(({ value }) => value === null).length;
  await observer.until(
    () => deletes() >= 3,
    () => `${deletes()} of 3 tombstones among ${observed().length} messages`,
  );
  await database.query('INSERT INTO things (id) VALUES (777)');
  await untilPublished(kafka, config, database);
  // The delete of 777 and all before it are known by now, and the position says so.
  const [row] = await database.query('SELECT pg_current_xact_id()::text AS xid');
  const swept = async (): Promise<bigint> => (await readHorizonsSwept(kafka, pollerOf(config))).get('public.things') ?? 0n;
  // Transactions that other tests of the server have open hold it back.
  await eventually(swept, (horizon) => horizon > BigInt(row?.['xid'] ?? ''), 90_000);
  const { text: metrics } = await endpoint.get('/metrics');
  assert.match(metrics, /^cdc_poller_deletes_published_total\{table="public\.things"\} 3$/m);
  assert.match(metrics, /^cdc_poller_sweep_last_success_timestamp_seconds\{table="public\.things"\} \d+/m);
  await poller.stop();
  // A restart reads the keys from the topic again: what was deleted then is not found again, what is deleted now is.
  await using again = startTestPoller(config);
  await database.query('DELETE FROM things WHERE id = 5');
  // The observer has its partitions one after the other: 777 may be there again in one only after the delete of 5 in another.
  await observer.until(
    () => deletes() >= 4 && opsOf('{"id":777}').length >= 4,
    () => `${deletes()} of 4 tombstones; of 777: ${opsOf('{"id":777}').join(', ')}`,
  );
  assert.deepEqual(opsOf('{"id":1}'), ['there', 'gone', 'tombstone']);
  assert.deepEqual(opsOf('{"id":777}'), ['there', 'gone', 'tombstone', 'there']);
  assert.deepEqual(opsOf('{"id":5}'), ['there', 'gone', 'tombstone']);
  await database.query('TRUNCATE things; INSERT INTO things (id) VALUES (100000)');
  const { sweep: refused } = await endpoint.until('public.things', (figures) => figures.sweep?.lastOutcome === 'too-many');
  assert.equal(refused?.deletesPublished, 1, 'of this process');
  const { printed } = await terminal(pollerCommand, config).run('status');
  assert.match(printed, /1 deletes, last DISCARDED \(too-many\)/);
  // The position that is written with this knows of no delete from the truncate on.
  await untilPublished(kafka, config, database);
  const [truncated] = await database.query('SELECT xmin::text AS xid FROM things');
  assert.ok((await swept()) <= BigInt(truncated?.['xid'] ?? ''));
  assert.equal(deletes(), 4);
  await again.stop();
});

function pollerOf({ poller }: PipelineConfig): PollerConfig {
  assert.ok(poller);
  return poller;
}
