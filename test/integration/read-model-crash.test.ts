import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { orderHistory, randomBelow, type History } from '#test/support/order-history.ts';
import { eventually } from '#test/support/read-database.ts';
import { assertMirrors, assertViewIsTrue } from '#test/support/read-model-truth.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { uniqueName } from '#test/support/stack.ts';

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);

async function sendNext(model: ReadModelFixture, history: History, changes: number): Promise<void> {
  for (const [table, messages] of history.next(changes)) await model.send(table, messages);
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function appliedBatches(model: ReadModelFixture): Promise<number> {
  const [row] = await model.read.query('SELECT count(*) AS count FROM model.apply_log');
  return Number(row?.['count']);
}

/** Every message was applied by one batch, no offset by two. */
async function assertAppliedOnce(model: ReadModelFixture, history: History): Promise<void> {
  assert.deepEqual(await model.read.query('SELECT sum(events) AS events FROM model.apply_log'), [{ events: String(history.messages()) }]);
  const overlaps = await model.read.query(
    `SELECT a.topic, a.partition, a.first_offset, b.first_offset AS again
       FROM model.apply_log a JOIN model.apply_log b USING (topic, partition)
      WHERE a.id < b.id AND a.first_offset < b.next_offset AND b.first_offset < a.next_offset`,
  );
  assert.deepEqual(overlaps, []);
}

test(`kill -9 in the middle of the work, ten times, applies every event once (seed ${seed})`, { timeout: 120_000 }, async () => {
  await using model = await createReadModel();
  const below = randomBelow(seed);
  const history = orderHistory(seed);
  await sendNext(model, history, 6000);
  for (let round = 0; round < 10; round += 1) {
    // A group of its own: Kafka would otherwise wait for the dead one's session. The stored offsets are the same.
    const child = model.spawn({ groupId: uniqueName('crash') });
    const before = await appliedBatches(model);
    await sendNext(model, history, 1500);
    await eventually(() => appliedBatches(model), (count) => count > before);
    await delay(below(60));
    await kill(child);
  }
  await using running = await model.start();
  await model.caughtUp();
  await assertMirrors(model.read, model.schema, history.tables);
  await assertViewIsTrue(model.read, model.schema);
  await assertAppliedOnce(model, history);
  void running;
});

test(`members that join, leave and die while events come leave no trace (seed ${seed})`, { timeout: 120_000 }, async () => {
  await using model = await createReadModel();
  const history = orderHistory(seed + 1);
  const first = model.spawn();
  const stop = new AbortController();
  const feed = (async () => {
    while (!stop.signal.aborted) {
      await sendNext(model, history, 100);
      await delay(20);
    }
  })();
  const progress = async (): Promise<void> => {
    const before = await appliedBatches(model);
    await eventually(() => appliedBatches(model), (count) => count > before + 10);
  };
  await progress();
  const second = model.spawn();
  await progress();
  second.kill('SIGTERM');
  await once(second, 'exit');
  assert.equal(second.exitCode, 0);
  await progress();
  const third = model.spawn();
  await progress();
  await kill(first);
  await progress();
  stop.abort();
  await feed;
  await model.caughtUp();
  await assertMirrors(model.read, model.schema, history.tables);
  await assertViewIsTrue(model.read, model.schema);
  await assertAppliedOnce(model, history);
  assert.equal(third.exitCode, null);
});
