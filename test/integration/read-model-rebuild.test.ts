import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { CdcError, silentLogger } from '#pipeline/index.ts';
import { dropVersions, rebuild, switchBack, type RebuildOptions } from '#read-model/rebuild/rebuild.ts';
import { orderHistory, type History } from '#test/support/order-history.ts';
import { eventually } from '#test/support/read-database.ts';
import { assertMirrors, assertViewIsTrue } from '#test/support/read-model-truth.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { repeat } from '#test/support/repeat.ts';

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);

function optionsOf(model: ReadModelFixture): RebuildOptions {
  return { config: model.config, model: 'model', logger: silentLogger, signal: new AbortController().signal };
}

async function send(model: ReadModelFixture, history: History, changes: number): Promise<void> {
  for (const [table, messages] of history.next(changes)) await model.send(table, messages);
}

async function versions(model: ReadModelFixture): Promise<readonly string[]> {
  const rows = await model.read.query(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'model%' ORDER BY 1`);
  return rows.map(({ nspname }) => nspname ?? '');
}

type Seen = { readonly versions: readonly string[]; readonly backwards: number };

/** A reader that never rests: sees which version serves, how far it is, and that it always answers. */
function watch(model: ReadModelFixture): { versions(): readonly string[]; stop(): Promise<Seen> } {
  const seen: string[] = [];
  let last = 0n;
  let backwards = 0;
  const watching = repeat(async () => {
    const [row] = await model.read.query(
      `SELECT (SELECT version FROM model.model_version) AS version, (SELECT sum(next_offset) FROM model.applied_offsets) AS applied,
              (SELECT count(*) FROM model.order_view) AS orders`,
    );
    if (row?.['version'] !== seen.at(-1)) seen.push(row?.['version'] ?? '');
    const applied = BigInt(row?.['applied'] ?? 0);
    if (applied < last) backwards += 1;
    last = applied;
    await delay(2);
  });
  return {
    versions: () => [...seen],
    async stop() {
      await watching.stop();
      return { versions: seen, backwards };
    },
  };
}

async function assertAppliedOnce(model: ReadModelFixture, schema: string, history: History): Promise<void> {
  assert.deepEqual(await model.read.query(`SELECT sum(events) AS events FROM ${schema}.apply_log`), [
    { events: String(history.messages()) },
  ]);
}

/** Runs a rebuild as a process, kills it when it waits for `table`, which is locked, and gives how many events it had applied by then. */
async function killAt(model: ReadModelFixture, table: string): Promise<number> {
  const child = startRebuild(model);
  const exited = once(child, 'exit');
  await eventually(
    () => model.read.query(`SELECT to_regclass('model__v2.${table}') AS found`),
    ([row]) => row?.['found'] !== null,
  );
  const lock = await model.read.pool.connect();
  try {
    await lock.query(`BEGIN; LOCK TABLE model__v2.${table} IN SHARE MODE`);
    const waiting = `SELECT l.pid FROM pg_locks l WHERE NOT l.granted AND l.relation = 'model__v2.${table}'::regclass`;
    await eventually(
      () => model.read.query(waiting),
      (rows) => rows.length > 0,
    );
  } finally {
    child.kill('SIGKILL');
    await exited;
    await lock.query('ROLLBACK');
    lock.release();
  }
  return Number((await model.read.query('SELECT coalesce(sum(events), 0) AS events FROM model__v2.apply_log'))[0]?.['events']);
}

function startRebuild(model: ReadModelFixture): ChildProcess {
  return spawn(process.execPath, [new URL('../support/read-model-rebuild-process.ts', import.meta.url).pathname, 'model'], {
    env: { ...process.env, READ_MODEL_CONFIG: JSON.stringify(model.config) },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

test(`a rebuild that is killed in its mirrors and in its views goes on where it was (seed ${seed})`, { timeout: 200_000 }, async () => {
  await using model = await createReadModel();
  const history = orderHistory(seed);
  await send(model, history, 1000);
  const half = history.messages();
  assert.equal(await killAt(model, 'order_view'), half);
  assert.deepEqual(await model.read.query('SELECT count(*) FROM model__v2.order_view'), [{ count: '0' }]);
  await send(model, history, 1000);
  assert.equal(await killAt(model, 'order_items'), half);

  const last = startRebuild(model);
  assert.deepEqual(await once(last, 'exit'), [0, null]);
  await assertMirrors(model.read, 'model__v2', history.tables, model);
  await assertViewIsTrue(model.read, 'model__v2');
  await assertAppliedOnce(model, 'model__v2', history);
  // Nobody has switched: the old version serves, empty as it is.
  assert.deepEqual(await versions(model), ['model', 'model__v2']);
  assert.deepEqual(await model.read.query('SELECT count(*) FROM model.orders'), [{ count: '0' }]);
  assert.deepEqual(await dropVersions(optionsOf(model), 'candidate'), [2]);
  assert.deepEqual(await versions(model), ['model']);
});

test(
  `under load the new version takes over, and the old one again, and no reader sees the model go back (seed ${seed})`,
  { timeout: 200_000 },
  async () => {
    await using model = await createReadModel();
    const history = orderHistory(seed + 1);
    await model.read.query('GRANT USAGE ON SCHEMA model TO PUBLIC; GRANT SELECT ON model.order_view TO PUBLIC');
    await using running = await model.start();
    await send(model, history, 2000);
    await model.caughtUp();
    const feeding = repeat(async () => {
      await send(model, history, 40);
      await delay(5);
    });
    const watching = watch(model);
    const untilSeen = (versionsInTurn: number): Promise<unknown> =>
      eventually(
        async () => watching.versions(),
        (found) => found.length >= versionsInTurn,
      );
    try {
      await untilSeen(1);
      assert.equal(await rebuild(optionsOf(model), true), 2);
      assert.deepEqual(await versions(model), ['model', 'model__v1']);
      await untilSeen(2);
      await delay(500);
      assert.equal(await switchBack(optionsOf(model)), 1);
      assert.deepEqual(await versions(model), ['model', 'model__v2']);
      await untilSeen(3);
      await delay(300);
      // The version that was filled before is still there: it only has to catch up.
      assert.equal(await rebuild(optionsOf(model), true), 2);
    } finally {
      await feeding.stop();
    }
    await model.caughtUp();
    await untilSeen(4);
    assert.deepEqual(await watching.stop(), { versions: ['1', '2', '1', '2'], backwards: 0 });
    await assertMirrors(model.read, 'model', history.tables, model);
    await assertViewIsTrue(model.read, 'model');
    await assertAppliedOnce(model, 'model', history);
    assert.deepEqual(await model.read.query(`SELECT has_table_privilege('public', 'model.order_view', 'SELECT') AS may`), [{ may: 't' }]);
    void running;
  },
);

function isRefused(error: unknown): boolean {
  return error instanceof CdcError && error.code === 'READ_MODEL_PROJECTIONS_CHANGED';
}

test('a model whose views were made by other projections is refused, and a rebuild is the way out', { timeout: 150_000 }, async () => {
  await using model = await createReadModel();
  const history = orderHistory(seed + 2);
  await send(model, history, 200);
  await model.read.query(`UPDATE model.model_version SET projections = 'of before'`);
  await assert.rejects(model.start(), isRefused);
  assert.equal(await rebuild(optionsOf(model), true), 2);
  await assert.rejects(switchBack(optionsOf(model)), isRefused);
  await using running = await model.start();
  await send(model, history, 200);
  await model.caughtUp();
  await assertMirrors(model.read, 'model', history.tables, model);
  await assertViewIsTrue(model.read, 'model');
  assert.deepEqual(await dropVersions(optionsOf(model), 'previous'), [1]);
  await assert.rejects(switchBack(optionsOf(model)), (error) => error instanceof CdcError && error.code === 'READ_MODEL_VERSION_MISSING');
  void running;
});
