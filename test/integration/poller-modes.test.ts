import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startTestPoller, untilPublished, type TestPoller } from '#test/support/poller.ts';
import { assertExactTable, createPollerScene, valuesOf, type PollerScene } from '#test/support/poller-scene.ts';
import { uniqueName } from '#test/support/stack.ts';

/** One database and one poller for the file: a table for each mode and each kind of key. */
let scene: PollerScene;
let poller: TestPoller;

/** Far longer than a transaction here stays open, however slow the machine: nothing waits for it to pass. */
const overlapMs = 600_000;
const stamped = ['by_uuid', 'by_pair', 'several', 'local_time', 'parts', 'cached'] as const;
const keys: Readonly<Record<string, string>> = {
  by_uuid: `'{"code":"' || code || '"}'`,
  by_pair: `'{"region":' || to_json(region)::text || ',"number":' || number || '}'`,
};

before(async () => {
  scene = await createPollerScene(
    `
    CREATE TABLE ids (id bigserial PRIMARY KEY, value text);
    CREATE TABLE far (id bigserial PRIMARY KEY, value text);
    GRANT SELECT ON SEQUENCE far_id_seq TO cdc_poller;
    CREATE TABLE emptied (id serial PRIMARY KEY, value text);
    CREATE TABLE little (id int PRIMARY KEY, value text);
    CREATE TABLE by_uuid (code uuid PRIMARY KEY DEFAULT gen_random_uuid(), value text, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE by_pair (region text, number serial, value text, updated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (region, number));
    ALTER TABLE by_pair ALTER region SET DEFAULT 'Süd "1"';
    CREATE TABLE several (id bigserial PRIMARY KEY, value text, updated_at timestamptz, created_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE local_time (id bigserial PRIMARY KEY, value text, updated_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'America/New_York'));
    CREATE TABLE parts (id bigserial, value text, updated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id)) PARTITION BY RANGE (id);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (5);
    CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (5) TO (100000);
    CREATE SEQUENCE blocks CACHE 50;
    CREATE TABLE cached (id bigint PRIMARY KEY DEFAULT nextval('blocks'), value text, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE seen (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE VIEW shown AS SELECT id, upper(value) AS value, updated_at AT TIME ZONE 'America/New_York' AS changed FROM seen;
    INSERT INTO ids (value) SELECT 'early' FROM generate_series(1, 7);
    INSERT INTO little VALUES (1, 'one'), (2, 'two'), (3, 'three');
    INSERT INTO seen (value) VALUES ('early'), ('hidden');
    ${stamped.map((table) => `INSERT INTO ${table} (value) SELECT 'early' FROM generate_series(1, 7);`).join('\n')}`,
    [
      ...['ids', 'far', 'emptied'].map((table) => ({ table: `public.${table}`, mode: 'incrementing' })),
      { table: 'public.little', mode: 'bulk', pollIntervalMs: 300 },
      { table: 'public.by_uuid', mode: 'timestamp' },
      { table: 'public.by_pair', mode: 'timestamp' },
      { table: 'public.several', mode: 'timestamp', timestampColumn: ['updated_at', 'created_at'] },
      { table: 'public.local_time', timeZone: 'America/New_York' },
      { table: 'public.parts' },
      { table: 'public.cached' },
      {
        table: 'public.shown',
        mode: 'timestamp',
        timestampColumn: 'changed',
        timeZone: 'America/New_York',
        key: ['id'],
        overlapMs,
      },
      {
        table: 'public.chosen',
        query:
          "SELECT id, value, updated_at, value ? 'x' AS has_x FROM (SELECT id, jsonb_build_object(value, 1) AS value, updated_at FROM seen WHERE value <> 'hidden') AS s",
        key: ['id'],
        overlapMs,
      },
    ],
    { pageRows: 3 },
  );
  poller = startTestPoller(scene.config);
});

after(async () => {
  await poller.stop();
  await scene[Symbol.asyncDispose]();
});

/** Commits into the tables again and again, so that horizon and floors move on. */
async function keepBusy(tables: readonly string[], rounds = 12): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await scene.query(tables.map((table) => `INSERT INTO ${table} (value) VALUES ('busy')`).join('; '));
    await delay(30);
  }
}

test('in every mode with a fence, what commits late is published, and nothing is published twice', async () => {
  const fenced = ['ids', 'far', ...stamped];
  await scene.until('cached', (events) => events.length >= 7, 'the load');
  const late = await scene.connect();
  const prepared = await scene.connect();
  const idle = await scene.connect();
  await idle.query('BEGIN; SELECT now()');
  await late.query(`BEGIN; ${fenced.map((table) => `INSERT INTO ${table} (value) VALUES ('late')`).join('; ')}`);
  const gid = uniqueName('gid');
  await prepared.query(
    `BEGIN; ${fenced.map((table) => `INSERT INTO ${table} (value) VALUES ('prepared')`).join('; ')}; PREPARE TRANSACTION '${gid}'`,
  );
  await keepBusy(fenced);
  await late.query('COMMIT');
  await keepBusy(fenced);
  await prepared.query(`COMMIT PREPARED '${gid}'`);
  await keepBusy(fenced, 4);
  await idle.query(`${fenced.map((table) => `INSERT INTO ${table} (value) VALUES ('begun early')`).join('; ')}; COMMIT`);
  for (const table of fenced) {
    const events = await scene.until(table, (all) => valuesOf(all, 'value').includes('begun early'), 'the last row');
    for (const value of ['late', 'prepared']) assert.ok(valuesOf(events, 'value').includes(value), `${table}: ${value}`);
  }
  for (const table of fenced) await assertExactTable(scene, table, keys[table]);
});

test('updates are seen in every timestamp mode', async () => {
  await scene.query(
    stamped.map((table) => `UPDATE ${table} SET value = 'updated', updated_at = ${now(table)} WHERE value = 'early'`).join('; '),
  );
  for (const table of stamped) {
    await scene.until(table, (events) => valuesOf(events, 'value').filter((value) => value === 'updated').length === 7, 'seven updates');
    await assertExactTable(scene, table, keys[table]);
  }
});

function now(table: string): string {
  return table === 'local_time' ? "now() AT TIME ZONE 'America/New_York'" : 'now()';
}

test('an id written by hand far above the sequence does not hide the ids that follow, where the sequence may be read', async () => {
  await scene.query("INSERT INTO far (id, value) VALUES (1000000, 'by hand')");
  await scene.until('far', (events) => valuesOf(events, 'value').includes('by hand'), 'the row written by hand');
  await keepBusy(['far'], 10);
  await scene.query("INSERT INTO far (value) VALUES ('after')");
  await scene.until('far', (events) => valuesOf(events, 'value').includes('after'), 'the row after it');
  await assertExactTable(scene, 'far');
});

test('TRUNCATE with ids that begin again: the new rows are published, though their ids are below all that were seen', async () => {
  await keepBusy(['emptied'], 10);
  await scene.until('emptied', (events) => events.length === 10, 'ten rows');
  await scene.query(
    "TRUNCATE emptied RESTART IDENTITY; INSERT INTO emptied (value) VALUES ('again'), ('again'); INSERT INTO emptied (value) SELECT 'again' FROM generate_series(1, 20)",
  );
  await scene.until('emptied', (events) => valuesOf(events, 'value').filter((value) => value === 'again').length >= 22, 'the new rows');
  await assertExactTable(scene, 'emptied');
});

/** How often row 2 was published. */
const counts = (events: Awaited<ReturnType<PollerScene['published']>>): number =>
  events.filter(({ event }) => event.after?.['id'] === 2).length;

test('mode bulk publishes the whole table every time, as reads', async () => {
  const first = counts(await scene.published('little'));
  await scene.query("UPDATE little SET value = 'changed' WHERE id = 2");
  const events = await scene.until('little', (all) => counts(all) >= first + 3, 'three more rounds');
  assert.ok(events.every(({ event }) => event.op === 'r'));
  assert.equal(
    valuesOf(
      events.filter(({ event }) => event.after?.['id'] === 2),
      'value',
    ).at(-1),
    'changed',
  );
});

test('views and queries are polled through a window: late commits within it are seen, and what was seen is not repeated', async () => {
  const late = await scene.connect();
  await late.query("BEGIN; INSERT INTO seen (value) VALUES ('late')");
  for (let row = 0; row < 10; row += 1) {
    await scene.query("INSERT INTO seen (value) VALUES ('busy')");
    await delay(40);
  }
  await late.query('COMMIT');
  await scene.query("UPDATE seen SET value = 'changed', updated_at = now() WHERE id = 1");
  const shown = await scene.until(
    'shown',
    (all) => valuesOf(all, 'value').includes('LATE') && valuesOf(all, 'value').includes('CHANGED'),
    'late and changed',
  );
  assert.deepEqual(
    valuesOf(shown, 'value').toSorted(),
    ['CHANGED', 'EARLY', 'HIDDEN', 'LATE', ...Array.from({ length: 10 }, () => 'BUSY')].toSorted(),
  );
  const chosen = await scene.until('chosen', (all) => all.length >= 13, '13 events');
  assert.deepEqual(valuesOf(chosen, 'value').toSorted().slice(-2), ['{"early": 1}', '{"late": 1}']);
  assert.equal(chosen.length, 13);
  assert.ok(chosen.every(({ event }) => event.source.txId === null));
});

test('a restart repeats nothing in any mode but bulk', async () => {
  await poller.stop();
  poller = startTestPoller(scene.config);
  const fenced = ['ids', 'far', 'emptied', ...stamped];
  await keepBusy([...fenced, 'seen'], 3);
  for (const table of fenced)
    await scene.until(
      table,
      (events) =>
        valuesOf(events, 'value')
          .slice(-30)
          .filter((value) => value === 'busy').length >= 1,
      'rows after the restart',
    );
  const { poller: settings } = scene.config;
  assert.ok(settings);
  // Windows have no horizon to wait for.
  const exact = settings.tables.filter(({ table }) => !['public.shown', 'public.chosen'].includes(table));
  await untilPublished(scene.kafka, { ...scene.config, poller: { ...settings, tables: exact } }, scene.database);
  for (const table of fenced) await assertExactTable(scene, table, keys[table]);
  const shown = await scene.until('shown', (events) => events.length >= 17, 'three more rows');
  assert.equal(shown.length, 17);
});
