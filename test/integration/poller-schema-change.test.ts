import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { waitFor } from '#stack/index.ts';
import { startTestPoller, untilPublished, type TestPoller } from '#test/support/poller.ts';
import { assertExactTable, createPollerScene, valuesOf, type PollerScene } from '#test/support/poller-scene.ts';

/** Tables that are changed under a poller that goes on; `steady` must never notice. */
let scene: PollerScene;
let poller: TestPoller;

const names = [
  'added',
  'dropped',
  'widened',
  'rewritten',
  'renamed',
  'tracked',
  'remade',
  'swapped',
  'replaced',
  'keyed',
  'gone',
  'revoked',
  'steady',
] as const;

before(async () => {
  scene = await createPollerScene(
    names
      .map(
        (table) => `
        CREATE TABLE ${table} (id bigserial PRIMARY KEY, value text, amount int, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
        INSERT INTO ${table} (value, amount) SELECT 'before', 1 FROM generate_series(1, 5);`,
      )
      .join('\n'),
    names.map((table) => ({
      table: `public.${table}`,
      ...(table === 'rewritten' ? { onRewrite: 'rescan' } : {}),
      // Often: its columns come and go between two polls.
      ...(table === 'added' ? { pollIntervalMs: 20 } : {}),
    })),
  );
  poller = startTestPoller(scene.config);
  await untilPublished(scene.kafka, scene.config, scene.database);
});

after(async () => {
  await poller.stop();
  await scene[Symbol.asyncDispose]();
});

/** The poller has not stumbled over a change: other tables go on at once. */
async function assertOthersGoOn(): Promise<void> {
  const value = `steady ${performance.now()}`;
  await scene.query(`INSERT INTO steady (value) VALUES ('${value}')`);
  await scene.until('steady', (events) => valuesOf(events, 'value').includes(value), 'the other table goes on');
}

test('a column that is added is in the very next event', async () => {
  // In one transaction: no poll comes between the column and the row.
  await scene.query(
    "BEGIN; ALTER TABLE added ADD COLUMN note text; INSERT INTO added (value, note) VALUES ('after', 'first note'); COMMIT",
  );
  const events = await scene.until('added', (all) => valuesOf(all, 'value').includes('after'), 'the row');
  assert.equal(events.find(({ event }) => event.after?.['value'] === 'after')?.event.after?.['note'], 'first note');
  await assertExactTable(scene, 'added');
});

test('columns that come and go while rows are written: every event has the columns of its row', async () => {
  for (let round = 0; round < 12; round += 1) {
    await scene.query(
      `ALTER TABLE added ADD COLUMN extra_${round} int; INSERT INTO added (value, extra_${round}) VALUES ('round ${round}', ${round})`,
    );
    await delay(Math.random() * 40);
  }
  const events = await scene.until('added', (all) => valuesOf(all, 'value').includes('round 11'), 'the last round');
  for (let round = 0; round < 12; round += 1) {
    const found = events.filter(({ event }) => event.after?.['value'] === `round ${round}`);
    assert.deepEqual(
      found.map(({ event }) => event.after?.[`extra_${round}`]),
      [round],
    );
  }
  await assertExactTable(scene, 'added');
});

test('a column that is dropped is gone from the next event, and the table goes on', async () => {
  await scene.query("BEGIN; ALTER TABLE dropped DROP COLUMN amount; INSERT INTO dropped (value) VALUES ('after'); COMMIT");
  const events = await scene.until('dropped', (all) => valuesOf(all, 'value').includes('after'), 'the row');
  const row = events.find(({ event }) => event.after?.['value'] === 'after')?.event.after ?? {};
  assert.deepEqual(Object.keys(row), ['id', 'value', 'updated_at']);
  await assertOthersGoOn();
});

test('a column that is widened gives its new values at once; rows that only the rewrite touched come again where asked for', async () => {
  for (const table of ['widened', 'rewritten']) {
    await scene.query(
      `ALTER TABLE ${table} ALTER COLUMN amount TYPE numeric(12,2) USING amount + 0.25; INSERT INTO ${table} (value, amount) VALUES ('after', 1.5)`,
    );
    const events = await scene.until(table, (all) => valuesOf(all, 'value').includes('after'), 'the row');
    assert.equal(events.find(({ event }) => event.after?.['value'] === 'after')?.event.after?.['amount'], '1.50');
  }
  await scene.until('rewritten', (all) => all.length >= 11, 'five rows again');
  await assertExactTable(scene, 'rewritten');
  await assertOthersGoOn();
  assert.equal((await scene.published('widened')).length, 6);
});

test('a column that is renamed goes on under its new name', async () => {
  await scene.query("ALTER TABLE renamed RENAME COLUMN amount TO quantity; INSERT INTO renamed (value, quantity) VALUES ('after', 2)");
  const events = await scene.until('renamed', (all) => valuesOf(all, 'value').includes('after'), 'the row');
  assert.equal(events.find(({ event }) => event.after?.['value'] === 'after')?.event.after?.['quantity'], 2);
  await assertExactTable(scene, 'renamed');
});

test('a tracking column that is renamed makes its table wait, the others go on, and nothing is lost when it is back', async () => {
  await scene.query('ALTER TABLE tracked RENAME COLUMN updated_at TO changed');
  await scene.query("INSERT INTO tracked (value) VALUES ('meanwhile')");
  await delay(300);
  await assertOthersGoOn();
  assert.ok(!valuesOf(await scene.published('tracked'), 'value').includes('meanwhile'));
  await scene.query('ALTER TABLE tracked RENAME COLUMN changed TO updated_at');
  await scene.until('tracked', (all) => valuesOf(all, 'value').includes('meanwhile'), 'the row that was written meanwhile');
  await assertExactTable(scene, 'tracked');
});

test('a table that is dropped and made again is another one: all its rows are published, however old their timestamps', async () => {
  await scene.query(`
    BEGIN; DROP TABLE remade; CREATE TABLE remade (id bigint PRIMARY KEY, value text, more text, updated_at timestamptz NOT NULL);
    INSERT INTO remade VALUES (1, 'again', 'x', '2001-01-01'), (2, 'again', 'y', now()); COMMIT`);
  const events = await scene.until(
    'remade',
    (all) => valuesOf(all, 'value').filter((value) => value === 'again').length >= 2,
    'the new rows',
  );
  assert.deepEqual(valuesOf(events, 'more').toSorted().slice(-2), ['x', 'y']);
  await scene.query("INSERT INTO remade VALUES (3, 'again', 'z', clock_timestamp())");
  await scene.until('remade', (all) => valuesOf(all, 'more').includes('z'), 'and on');
  await assertExactTable(scene, 'remade');
});

test('a table that another one is renamed over is read whole', async () => {
  await scene.query(`
    CREATE TABLE swapped_next (LIKE swapped INCLUDING ALL); INSERT INTO swapped_next SELECT id, 'swapped in', amount, '2001-01-01' FROM swapped;
    BEGIN; ALTER TABLE swapped RENAME TO swapped_last; ALTER TABLE swapped_next RENAME TO swapped; COMMIT`);
  await scene.until('swapped', (all) => valuesOf(all, 'value').filter((value) => value === 'swapped in').length >= 5, 'the other rows');
  await assertExactTable(scene, 'swapped');
});

test('a table that was filled long before it takes the place of another is read whole', async () => {
  await scene.query(
    "CREATE TABLE replaced_next (LIKE replaced INCLUDING ALL); INSERT INTO replaced_next SELECT id, 'in place', amount, updated_at FROM replaced",
  );
  // Polled since: the poller has seen the end of every transaction until now.
  await assertOthersGoOn();
  await scene.query("INSERT INTO replaced (value) VALUES ('before')");
  await scene.until('replaced', (all) => all.length >= 6, 'the row that was written after the other table');
  await scene.query('BEGIN; ALTER TABLE replaced RENAME TO replaced_last; ALTER TABLE replaced_next RENAME TO replaced; COMMIT');
  await scene.until('replaced', (all) => valuesOf(all, 'value').filter((value) => value === 'in place').length >= 5, 'the other rows');
});

test('a key that changes between a look at the table and the reading of its rows: nothing goes out under the former key', async () => {
  const owner = await scene.connect();
  await owner.query('BEGIN');
  await owner.query('ALTER TABLE keyed DROP CONSTRAINT keyed_pkey');
  await owner.query('ALTER TABLE keyed ADD PRIMARY KEY (id, updated_at)');
  await owner.query("INSERT INTO keyed (value) VALUES ('under another key')");
  // The poller has looked at what it sees, the former key, and waits to read the rows. It reads only when something has been committed since it did last.
  const committedElsewhere = (): Promise<unknown> => scene.query('SELECT pg_current_xact_id()');
  await waitFor(async () => (await committedElsewhere(), (await waitingFor(owner, 'keyed')) > 0 ? true : null), {
    signal: AbortSignal.timeout(60_000),
    timeoutMs: 50_000,
    describe: 'the poller waits for the lock',
  });
  await owner.query('COMMIT');
  await assertOthersGoOn();
  const waiting = await scene.published('keyed');
  assert.ok(!valuesOf(waiting, 'value').includes('under another key'));
  await scene.query('ALTER TABLE keyed DROP CONSTRAINT keyed_pkey; ALTER TABLE keyed ADD PRIMARY KEY (id)');
  await scene.until('keyed', (all) => valuesOf(all, 'value').includes('under another key'), 'the row, when the key is put back');
  await assertExactTable(scene, 'keyed');
});

/** Sessions that wait for a lock on a table. */
async function waitingFor(client: Client, table: string): Promise<number> {
  const { rows } = await client.query<{ waiting: string }>(
    'SELECT count(*)::text AS waiting FROM pg_locks WHERE NOT granted AND relation = $1::regclass',
    [`public.${table}`],
  );
  return Number(rows[0]?.waiting ?? 0);
}

test('a table that is dropped waits alone, and is polled again when there is one of its name', async () => {
  await scene.query('DROP TABLE gone');
  await delay(300);
  await assertOthersGoOn();
  await scene.query(
    "CREATE TABLE gone (id bigint PRIMARY KEY, value text, updated_at timestamptz NOT NULL); INSERT INTO gone VALUES (1, 'back', '2001-01-01')",
  );
  await scene.until('gone', (all) => valuesOf(all, 'value').includes('back'), 'the new row');
});

test('SELECT that is revoked while running: the table waits alone and loses nothing', async () => {
  await scene.query('REVOKE SELECT ON revoked FROM cdc_poller');
  await scene.query("INSERT INTO revoked (value) VALUES ('hidden')");
  await delay(300);
  await assertOthersGoOn();
  await scene.query(
    "INSERT INTO revoked (value) VALUES ('hidden too'); UPDATE revoked SET value = 'changed', updated_at = clock_timestamp() WHERE id = 1",
  );
  await scene.query('GRANT SELECT ON revoked TO cdc_poller');
  await scene.until('revoked', (all) => valuesOf(all, 'value').includes('changed'), 'what was written meanwhile');
  await assertExactTable(scene, 'revoked');
});

test('a key that changes makes its table wait until it is loaded again: consumers hold rows under the old key', async () => {
  await scene.query('ALTER TABLE steady DROP CONSTRAINT steady_pkey; ALTER TABLE steady ADD PRIMARY KEY (id, updated_at)');
  await scene.query("INSERT INTO steady (value) VALUES ('under another key')");
  await delay(500);
  assert.ok(!valuesOf(await scene.published('steady'), 'value').includes('under another key'));
});
