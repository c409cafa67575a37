import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestPoller, type TestPoller } from '#test/support/poller.ts';
import { createPollerScene, valuesOf, type PollerScene } from '#test/support/poller-scene.ts';
import { readPublished } from '#test/support/published.ts';
import { uniqueName } from '#test/support/stack.ts';

/** What of a table is published, under which key and topic, from where on, and which tables at all. */
let scene: PollerScene;
let poller: TestPoller;
const peopleTopic = uniqueName('people');

before(async () => {
  scene = await createPollerScene(
    `
    CREATE TABLE people (id bigserial PRIMARY KEY, email text, phone text, salary numeric, photo bytea, updated_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO people (email, phone, salary, photo) VALUES ('ä@example.org', '+49 1', 100, '\\xff'), (NULL, NULL, NULL, NULL);
    CREATE TABLE narrow (id bigserial PRIMARY KEY, value text, secret text, updated_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO narrow (value, secret) VALUES ('public', 'private');
    CREATE TABLE keyless (number int NOT NULL, code text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO keyless VALUES (1, 'b'), (1, 'a'), (2, 'a');
    CREATE TABLE from_now (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE from_time (LIKE from_now INCLUDING ALL);
    CREATE TABLE from_id (id bigserial PRIMARY KEY, value text);
    INSERT INTO from_now (value) VALUES ('before');
    INSERT INTO from_time (value, updated_at) VALUES ('too old', '2026-01-01 00:59:59.999999+01'), ('old enough', '2026-01-01 01:00+01');
    INSERT INTO from_id (value) SELECT 'row ' || n FROM generate_series(1, 20) AS n;
    CREATE TABLE log_one (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE log_private (LIKE log_one INCLUDING ALL);
    CREATE TABLE log_unfit (id int);
    INSERT INTO log_one (value) VALUES ('found');
    COMMIT;
    -- startFrom: now may give what is past the oldest transaction that is open anywhere in the server: other tests' must have ended.
    DO $$ BEGIN
      WHILE pg_snapshot_xmin(pg_current_snapshot()) <= (SELECT max(xmin::text::bigint)::text::xid8 FROM from_now) LOOP
        PERFORM pg_sleep(0.02);
      END LOOP;
    END $$;`,
    [
      {
        table: 'public.people',
        topic: peopleTopic,
        excludeColumns: ['photo'],
        mask: { email: 'hash', phone: { fixed: '***' }, salary: 'null' },
      },
      { table: 'public.narrow', includeColumns: ['id', 'value'] },
      { table: 'public.keyless', mode: 'timestamp', key: ['code', 'number'] },
      { table: 'public.from_now', startFrom: 'now' },
      { table: 'public.from_time', startFrom: '2026-01-01T00:00:00Z' },
      { table: 'public.from_id', mode: 'incrementing', startFrom: '18' },
      { table: 'public.log_*', exclude: ['public.*_private'] },
    ],
    { maskSecret: 'pepper', discoveryIntervalMs: 1000 },
  );
  await scene.query('REVOKE SELECT ON narrow FROM cdc_poller; GRANT SELECT (id, value, updated_at, xmin) ON narrow TO cdc_poller');
  poller = startTestPoller(scene.config);
});

after(async () => {
  await poller.stop();
  await scene[Symbol.asyncDispose]();
});

test('columns are left out and masked; the hash is what SQL computes, null stays null, the topic is the one that was named', async () => {
  await scene.until('narrow', (events) => events.length > 0, 'the load');
  const [hash] = await scene.database.query(
    `SELECT encode(sha256(convert_to('pepper' || email, 'UTF8')), 'hex') AS hash FROM people WHERE id = 1`,
  );
  await scene.query("UPDATE people SET email = 'new', updated_at = now() WHERE id = 2");
  await scene.query("INSERT INTO people (email) VALUES ('last')");
  await untilTopic(peopleTopic, 4);
  const events = await readPublished(scene.kafka, peopleTopic);
  const afters = events.map(({ event }) => event.after ?? {});
  assert.ok(afters.every((row) => Object.keys(row).join() === 'id,email,phone,salary,updated_at'));
  assert.equal(afters.find((row) => row['id'] === 1)?.['email'], hash?.['hash']);
  assert.equal(afters.find((row) => row['id'] === 2)?.['email'], null);
  assert.ok(afters.every((row) => row['phone'] === '***' && row['salary'] === null));
  assert.doesNotMatch(JSON.stringify(afters), /example|\+49/);
});

async function untilTopic(topic: string, count: number): Promise<void> {
  const deadline = performance.now() + 60_000;
  while ((await readPublished(scene.kafka, topic)).length < count) assert.ok(performance.now() < deadline, `${count} events in ${topic}`);
}

test('included columns are all that is read: SELECT on them and on xmin suffices', async () => {
  const [event] = await scene.until('narrow', (events) => events.length === 1, 'the row');
  assert.deepEqual(event?.event.after, { id: 1, value: 'public' });
  assert.notEqual(event?.event.source.ts_ms, null);
});

test('a declared key is the event key, its columns in the order declared', async () => {
  const events = await scene.until('keyless', (all) => all.length === 3, 'three rows');
  assert.deepEqual(events.map(({ key }) => key).toSorted(), [
    '{"code":"a","number":1}',
    '{"code":"a","number":2}',
    '{"code":"b","number":1}',
  ]);
});

test('a table begins where startFrom says', async () => {
  await scene.query(
    "INSERT INTO from_now (value) VALUES ('after'); INSERT INTO from_time (value) VALUES ('after'); INSERT INTO from_id (value) VALUES ('after')",
  );
  for (const [table, values] of [
    ['from_now', ['after']],
    ['from_time', ['after', 'old enough']],
    ['from_id', ['after', 'row 18', 'row 19', 'row 20']],
  ] as const) {
    const events = await scene.until(table, (all) => valuesOf(all, 'value').includes('after'), 'the last row');
    assert.deepEqual(valuesOf(events, 'value').toSorted(), values);
  }
});

test('tables that match a pattern are polled, new ones while running; what is excluded or unfit is not', async () => {
  await scene.until('log_one', (events) => valuesOf(events, 'value').includes('found'), 'the table that was there');
  await scene.query("CREATE TABLE log_two (LIKE log_one INCLUDING ALL); INSERT INTO log_two (value) VALUES ('new table')");
  await scene.until('log_two', (events) => valuesOf(events, 'value').includes('new table'), 'the new table');
  await using admin = await scene.kafka.admin();
  const topics = await admin.listTopics();
  for (const table of ['log_private', 'log_unfit']) assert.ok(!topics.includes(scene.topic(table)), table);
});
