import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { orderHistory, randomBelow, type History } from '#test/support/order-history.ts';
import { eventually } from '#test/support/read-database.ts';
import { assertAppliedOnce, assertMirrors, assertViewIsTrue } from '#test/support/read-model-truth.ts';
import { appliedBatches, createReadModel, killed, type ReadModelFixture } from '#test/support/read-model.ts';
import { uniqueName } from '#test/support/stack.ts';

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);

async function sendNext(model: ReadModelFixture, history: History, changes: number): Promise<void> {
  for (const [table, messages] of history.next(changes)) await model.send(table, messages);
}

/** Locks that hold up a batch after it has written its rows, and before it has written anything. */
const holdUps = ['LOCK TABLE model.order_view IN SHARE MODE', 'SELECT FROM model.applied_offsets FOR UPDATE'];

test(`kill -9 in the middle of a batch, early and late, applies every event once (seed ${seed})`, { timeout: 200_000 }, async () => {
  await using model = await createReadModel();
  const below = randomBelow(seed);
  const history = orderHistory(seed);
  await sendNext(model, history, 1000);
  for (let round = 0; round < 6; round += 1) {
    // A group of its own: Kafka would otherwise wait for the dead one's session. The stored offsets are the same.
    const child = model.spawn({ groupId: uniqueName('crash') });
    const before = await appliedBatches(model);
    await sendNext(model, history, 500);
    await eventually(
      () => appliedBatches(model),
      (count) => count > before,
    );
    const holdUp = holdUps[round % 3];
    if (holdUp === undefined) {
      await delay(below(60));
      await killed(child);
    } else {
      await killHeldUp(model, child, holdUp, () => sendNext(model, history, 500));
    }
  }
  await using running = await model.start();
  await model.caughtUp();
  await assertMirrors(model.read, model.schema, history.tables, model);
  await assertViewIsTrue(model.read, model.schema);
  await assertAppliedOnce(model.read, history.messages());
  void running;
});

/** Kills a consumer that is in a transaction, since `holdUp` is in its way, and lets the lock go after. */
async function killHeldUp(model: ReadModelFixture, child: ChildProcess, holdUp: string, send: () => Promise<void>): Promise<void> {
  const lock = await model.read.pool.connect();
  try {
    await lock.query('BEGIN');
    await lock.query(holdUp);
    await send();
    const waiting = `SELECT pid FROM pg_stat_activity
                      WHERE datname = current_database() AND application_name = 'cdc read-model' AND wait_event_type = 'Lock'`;
    await eventually(
      () => model.read.query(waiting),
      (rows) => rows.length > 0,
    );
    await killed(child);
    await lock.query('ROLLBACK');
  } finally {
    lock.release();
  }
}

test(`members that join, leave and die while events come leave no trace (seed ${seed})`, { timeout: 200_000 }, async () => {
  await using model = await createReadModel();
  const history = orderHistory(seed + 1);
  const first = model.spawn();
  await using feeding = feed(model, history);
  await progress(model);
  const second = await join(model);
  await progress(model);
  const left = once(second, 'exit');
  second.kill('SIGTERM');
  assert.deepEqual(await left, [0, null]);
  await progress(model);
  const third = await join(model);
  await killed(first);
  await progress(model);
  await feeding.stop();
  await model.caughtUp();
  await assertMirrors(model.read, model.schema, history.tables, model);
  await assertViewIsTrue(model.read, model.schema);
  await assertAppliedOnce(model.read, history.messages());
  assert.equal(third.exitCode, null);
});

/** Sends changes until it is stopped. */
function feed(model: ReadModelFixture, history: History): AsyncDisposable & { stop(): Promise<void> } {
  const stopped = new AbortController();
  const sending = (async () => {
    while (!stopped.signal.aborted) {
      await sendNext(model, history, 100);
      await delay(20);
    }
  })();
  const stop = async (): Promise<void> => {
    stopped.abort();
    await sending;
  };
  return { stop, [Symbol.asyncDispose]: stop };
}

/** A further member, from when it holds partitions. */
async function join(model: ReadModelFixture): Promise<ChildProcess> {
  const claims = async (): Promise<number> => {
    const [row] = await model.read.query('SELECT sum(epoch) AS epochs FROM model.applied_offsets');
    return Number(row?.['epochs']);
  };
  const before = await claims();
  const child = model.spawn();
  // Every partition is claimed again when the group shares them out again.
  await eventually(claims, (epochs) => epochs >= before + 12);
  return child;
}

async function progress(model: ReadModelFixture): Promise<void> {
  const before = await appliedBatches(model);
  await eventually(
    () => appliedBatches(model),
    (count) => count > before + 10,
  );
}
