import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fetchFigures } from '#cdc-poller/index.ts';
import type { ProcessFigures } from '#cdc-poller/metrics/prometheus.ts';
import { allMembers } from '#cdc-poller/members/members.ts';
import { startMemberThread } from '#cdc-poller/members/member-threads.ts';
import { openMember } from '#cdc-poller/members/member.ts';
import { silentLogger } from '#pipeline/index.ts';
import { keepWriting } from '#test/support/keep-writing.ts';
import { spawnPoller, untilPublished, type PollerProcess } from '#test/support/poller.ts';
import { assertExactTable, createPollerScene, type PollerScene } from '#test/support/poller-scene.ts';

const tables = ['a', 'b', 'c', 'd', 'e', 'f'];

const tablesSql = tables
  .map(
    (
      table,
    ) => `CREATE TABLE ${table} (id bigserial PRIMARY KEY, value text NOT NULL, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
      CREATE INDEX ON ${table} (updated_at, id);
      INSERT INTO ${table} (value) SELECT 'loaded' FROM generate_series(1, 2000);`,
  )
  .join('\n');

function sixTables(settings: Readonly<Record<string, unknown>>): Promise<PollerScene> {
  return createPollerScene(
    tablesSql,
    tables.map((table) => ({ table: `public.${table}` })),
    { sharing: 'group', pollIntervalMs: 100, ...settings },
  );
}

type Said = { readonly msg: string; readonly thread?: number; readonly tables?: readonly string[]; readonly url?: string };

function linesOf(poller: PollerProcess): readonly Said[] {
  return poller
    .log()
    .split('\n')
    .slice(0, -1)
    .map((line): Said => JSON.parse(line));
}

/** The tables that each thread last said to have, by its number; the main thread is 1. */
function shares(poller: PollerProcess): ReadonlyMap<number, readonly string[]> {
  return new Map(
    linesOf(poller)
      .filter(({ msg }) => msg === 'tables of this process')
      .map(({ thread = 1, tables: mine = [] }) => [thread, mine]),
  );
}

/** How many polls the histogram has, by table. */
async function pollsTimed(url: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(new URL('/metrics', url))).text();
  return new Map(
    Array.from(text.matchAll(/^cdc_poller_poll_duration_seconds_count\{table="([^"]+)"\} (\d+)$/gm), ([, table = '', count]) => [
      table,
      Number(count),
    ]),
  );
}

async function until<T>(what: string, poller: PollerProcess, look: () => Promise<T | null> | T | null): Promise<T> {
  for (const deadline = performance.now() + 120_000; ; await delay(50)) {
    const found = await look();
    if (found !== null) return found;
    assert.ok(performance.now() < deadline, `${what}\n${poller.log()}`);
  }
}

/** Each of `pollers`' threads has as many tables as the others, and each table is had once. */
async function untilShared(pollers: readonly PollerProcess[], each: number): Promise<void> {
  for (const poller of pollers) {
    await until(`tables are not shared out by ${each}`, poller, () => {
      const all = pollers.flatMap((one) => [...shares(one).values()]);
      return all.every(({ length }) => length === each) && new Set(all.flat()).size === tables.length && all.flat().length === tables.length
        ? true
        : null;
    });
  }
}

test(
  'threads of a process share its tables, and one address shows them all: nothing lost, nothing twice, ended in order',
  { timeout: 300_000 },
  async () => {
    await using scene = await sixTables({ threads: 3, http: { port: 0 } });
    const writing = keepWriting((sql) => scene.query(sql), tables);
    await using poller = await spawnPoller(scene.config);
    await untilShared([poller], 2);
    assert.deepEqual(
      [...shares(poller).keys()].toSorted((a, b) => a - b),
      [1, 2, 3],
    );
    await untilPublished(scene.kafka, scene.config, scene.database);
    const url = await until('no address', poller, () => linesOf(poller).find((line) => line.url !== undefined)?.url ?? null);
    const figures = await until('not all tables are shown', poller, async () => {
      const shown = await fetchFigures(url, scene.name);
      return shown?.tables.length === tables.length ? shown : null;
    });
    assert.deepEqual(figures.tables.map(({ table }) => table).toSorted(), tables.map((table) => `public.${table}`).toSorted());
    assert.equal(figures.member, true);
    assert.ok(
      figures.tables.every(({ rowsPublished }) => rowsPublished > 0),
      JSON.stringify(figures.tables),
    );
    const ready = await fetch(new URL('/readyz', url));
    assert.deepEqual(await ready.json(), { ready: true, reasons: [] });
    // What was counted when all threads had joined grows, of every table.
    const before = await pollsTimed(url);
    await until('no further polls of every table', poller, async () => {
      const after = await pollsTimed(url);
      return tables.every((table) => (after.get(`public.${table}`) ?? 0) > (before.get(`public.${table}`) ?? 0)) ? true : null;
    });
    await writing[Symbol.asyncDispose]();
    await untilPublished(scene.kafka, scene.config, scene.database);
    assert.equal(await poller.kill('SIGTERM'), 0, poller.log());
    for (const table of tables) await assertExactTable(scene, table);
  },
);

test(
  'a process that is killed with its threads leaves all its tables to another’s threads; nothing lost, nothing twice',
  { timeout: 300_000 },
  async () => {
    await using scene = await sixTables({ threads: 3 });
    const writing = keepWriting((sql) => scene.query(sql), tables);
    await using first = await spawnPoller(scene.config);
    await untilShared([first], 2);
    await using second = await spawnPoller(scene.config);
    await untilShared([first, second], 1);
    await first.kill('SIGKILL');
    await untilShared([second], 2);
    await untilPublished(scene.kafka, scene.config, scene.database);
    await writing[Symbol.asyncDispose]();
    await untilPublished(scene.kafka, scene.config, scene.database);
    assert.equal(await second.kill('SIGTERM'), 0, second.log());
    for (const table of tables) await assertExactTable(scene, table);
  },
);

test('a table that comes later, by a pattern, goes to a thread too', { timeout: 300_000 }, async () => {
  await using scene = await createPollerScene(tablesSql, [{ table: 'public.*' }], {
    sharing: 'group',
    threads: 2,
    discoveryIntervalMs: 1000,
  });
  await using poller = await spawnPoller(scene.config);
  await untilShared([poller], 3);
  await scene.query(`CREATE TABLE late1 (LIKE a INCLUDING ALL); CREATE TABLE late2 (LIKE a INCLUDING ALL);
    INSERT INTO late1 (value) VALUES ('x'); INSERT INTO late2 (value) VALUES ('y')`);
  for (const table of ['late1', 'late2']) await scene.until(table, (events) => events.length === 1, 'its row');
  assert.deepEqual(
    [...shares(poller).values()].map(({ length }) => length),
    [4, 4],
  );
  assert.equal(await poller.kill('SIGTERM'), 0, poller.log());
});

test('a thread that ends before its time ends the process, with why', { timeout: 120_000 }, async () => {
  await using scene = await sixTables({});
  const controller = new AbortController();
  const { signal } = controller;
  await using own = openMember({ config: scene.config, logger: silentLogger, signal, once: false, listener: null });
  await using thread = startMemberThread(2, { config: { ...scene.config, poller: undefined }, logger: silentLogger, signal }, null);
  await assert.rejects(allMembers(own, [thread]).ended, { code: 'CONFIG_INVALID', message: 'pipeline.yaml has no poller section' });
  await assert.rejects(thread.offer({ tables: [], slots: new Map() }, new Map()), { code: 'CONFIG_INVALID' });
  const shown: ProcessFigures | null = await thread.figures();
  assert.equal(shown, null);
  controller.abort();
});
