import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { OutgoingMessage } from '#kafka/index.ts';
import { order, product, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';

async function number(model: ReadModelFixture, sql: string): Promise<number> {
  const [row] = await model.read.query(`SELECT (${sql})::text AS number`);
  return Number(row?.['number']);
}

/** Longer than the group's session timeout of ten seconds. */
const longerThanASessionMs = 14_000;

/** In which a member that the broker has dropped hears of it, by its next heartbeat, and joins again. */
const hearingMs = 3000;

function orders(from: number): OutgoingMessage[] {
  return Array.from({ length: 200 }, (_, index) => upsert('orders', order(from + index, 1)));
}

/** Holds the database back with events on their way for longer than a session; the membership must not notice, nor anything come twice. */
async function heldBack(holdBack: (model: ReadModelFixture) => Promise<() => Promise<void>>): Promise<void> {
  await using model = await createReadModel({ partitions: 2 });
  await using running = await model.start();
  await model.send('orders', orders(0));
  await model.caughtUp();
  const epochs = await number(model, 'SELECT sum(epoch) FROM model.applied_offsets');
  const release = await holdBack(model);
  try {
    await model.send('orders', orders(200));
    // A second batch of each partition waits behind the one that waits in the database.
    await model.send('orders', orders(400));
    await delay(longerThanASessionMs);
  } finally {
    await release();
  }
  await model.caughtUp();
  assert.equal(await number(model, 'SELECT count(*) FROM model.orders'), 600);
  assert.equal(await number(model, 'SELECT sum(events) FROM model.apply_log'), 600);
  // Every rebalance claims every partition again.
  await delay(hearingMs);
  assert.equal(await number(model, 'SELECT sum(epoch) FROM model.applied_offsets'), epochs);
  void running;
}

suite('longer than a session, no membership is lost and nothing is repeated', { concurrency: true }, () => {
  test('while the database halts', { timeout: 150_000 }, () =>
    heldBack(async (model) => {
      const lock = await model.read.pool.connect();
      await lock.query('BEGIN; LOCK TABLE model.orders IN ACCESS EXCLUSIVE MODE');
      return async () => {
        await lock.query('COMMIT');
        lock.release();
      };
    }),
  );

  test('while the database refuses connections, which are tried again with growing pauses', { timeout: 150_000 }, () =>
    heldBack((model) => model.read.refuseConnections()),
  );
});

/** Peak memory of a process, in MiB. */
async function peakRss(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** Half a megabyte, which compresses to a tenth as events do. */
function description(): string {
  return randomBytes(37_500).toString('base64').repeat(10);
}

test('a backlog of large values is read within a bound of memory', { timeout: 250_000 }, async () => {
  await using model = await createReadModel({ partitions: 3 });
  // 100 MB in all.
  const values = 210;
  for (let from = 0; from < values; from += 30) {
    const some = Array.from({ length: 30 }, (_, index) => upsert('products', { ...product(from + index), description: description() }));
    await model.send('products', some);
  }
  const child = model.spawn();
  await eventually(
    () => number(model, 'SELECT count(*) FROM model.products'),
    (count) => count === values,
    120_000,
  );
  const peak = await peakRss(child.pid);
  // The process alone takes some 130 MiB; a fetch, what is decoded ahead and its copies on the way to the database the rest.
  assert.ok(peak < 400, `${peak.toFixed(0)} MiB at its peak`);
});
