import assert from 'node:assert/strict';
import { test } from 'node:test';
import { order, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { killed } from '#test/support/read-model.ts';
import { assertEqualsLog, createService, record, type Service } from '#test/support/sdk.ts';

/** Sends updates of 30 orders, and keeps what is expected of them. */
function history(service: Service): { readonly expected: string[]; readonly send: (count: number) => Promise<void> } {
  const expected: string[] = [];
  let next = 0;
  return {
    expected,
    async send(count) {
      const rows = Array.from({ length: count }, () => ({ id: (next % 30) + 1, status: `s${(next += 1)}` }));
      await service.send(...rows.map(({ id, status }) => upsert('orders', order(id, 1, status), 'u')));
      expected.push(...rows.map(({ id, status }) => `update {"id":${id}} ${status}`));
    },
  };
}

/** In a consumer's way before it has moved a position, and when its handler is about to write. */
const holdUps = [
  'SELECT FROM cdc_consumer.applied_offsets FOR UPDATE',
  'LOCK TABLE effects IN SHARE MODE',
  'LOCK TABLE effects IN SHARE MODE',
];

test('kill -9 in the middle of a batch, early and late, gives each change its effect once', { timeout: 150_000 }, async () => {
  await using service = await createService();
  const { expected, send } = history(service);
  await send(300);
  {
    await using first = await service.start();
    await service.caughtUp();
    void first;
  }
  for (const holdUp of holdUps) {
    await service.anyGroup();
    const child = service.spawn();
    // It has begun before anything is in its way: to claim its partitions it needs them.
    const before = (await service.effects()).length;
    await send(60);
    await eventually(
      async () => (await service.effects()).length,
      (count) => count > before,
    );
    const lock = await service.read.pool.connect();
    try {
      await lock.query('BEGIN');
      await lock.query(holdUp);
      await send(200);
      await eventually(
        () =>
          service.read.query(
            `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sdk service' AND wait_event_type = 'Lock'`,
          ),
        (rows) => rows.length > 0,
      );
      await killed(child);
      await lock.query('ROLLBACK');
    } finally {
      lock.release();
    }
  }
  for (let round = 0; round < 3; round += 1) {
    await service.anyGroup();
    const child = service.spawn();
    const before = (await service.effects()).length;
    await send(400);
    await eventually(
      async () => (await service.effects()).length,
      (count) => count > before,
    );
    await killed(child);
  }
  await service.anyGroup();
  await using last = await service.start();
  await service.caughtUp();
  assertEqualsLog(await service.effects(), expected);
  void last;
});

test(
  'two instances share the partitions, come and go in the middle of the work, and handle each change once',
  { timeout: 120_000 },
  async () => {
    await using service = await createService({ partitions: 4 });
    const { expected, send } = history(service);
    const handled = { a: 0, b: 0 };
    const counting =
      (name: 'a' | 'b'): typeof record =>
      async (changes, tx, context) => {
        await record(changes, tx, context);
        handled[name] += changes.length;
      };
    const small = { batch: { changes: 10 } };
    await using first = await service.start(counting('a'), small);
    for (let round = 0; round < 3; round += 1) {
      await send(300);
      await using second = await service.start(counting('b'), small);
      const before = handled.b;
      // It gets its share, and leaves in the middle of it.
      await eventually(
        async () => {
          await send(20);
          return handled.b;
        },
        (count) => count > before,
      );
      void second;
    }
    await service.caughtUp();
    assertEqualsLog(await service.effects(), expected);
    assert.ok(handled.a > 0 && handled.b > 0);
    void first;
  },
);

test(
  'whoever lost a partition without hearing of it is fenced: nothing of its next transaction is there',
  { timeout: 60_000 },
  async () => {
    await using service = await createService({ partitions: 1 });
    const { expected, send } = history(service);
    await send(5);
    const entered = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    let calls = 0;
    await using stale = await service.start(
      async (changes, tx, context) => {
        calls += 1;
        if (calls === 2) {
          entered.resolve();
          await goOn.promise;
        }
        await record(changes, tx, context);
      },
      { batch: { changes: 1 } },
    );
    await entered.promise;
    // Somebody takes the partition over, and handles the rest of it, as soon as the transaction under way is over.
    const taken = service.read.query(`
    WITH taken AS (UPDATE cdc_consumer.applied_offsets SET epoch = epoch + 1, next_offset = 5 RETURNING 1)
    INSERT INTO effects (place, change) SELECT '0/' || n, 'update {"id":' || n + 1 || '} s' || n + 1 FROM generate_series(2, 4) n, taken`);
    await eventually(
      () => service.read.query(`SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`),
      (rows) => rows.length > 0,
    );
    goOn.resolve();
    await taken;
    await send(2);
    await service.caughtUp();
    assertEqualsLog(await service.effects(), expected);
    void stale;
  },
);

test('a topic that is made again is refused by name, and the remedy begins it at its beginning', { timeout: 90_000 }, async () => {
  await using service = await createService({ partitions: 1 });
  const { send } = history(service);
  await send(5);
  {
    await using consumer = await service.start();
    await service.caughtUp();
    void consumer;
  }
  await service.admin.deleteTopics([service.topic]);
  await eventually(
    () => service.admin.listTopics(),
    (topics) => !topics.includes(service.topic),
  );
  await service.admin.ensureTopics([{ topic: service.topic, partitions: 1, replicationFactor: 1 }]);
  await service.send(upsert('orders', order(99, 1)));
  const before = (await service.effects()).length;
  await using consumer = await service.start();
  const [halted] = await eventually(
    async () => (await consumer.status()).partitions.flatMap(({ halted: why }) => why ?? []),
    (halts) => halts.length > 0,
  );
  assert.equal(halted?.code, 'CONSUMER_TOPIC_REPLACED');
  assert.equal((await service.effects()).length, before);
  const remedy = /UPDATE .*? WHERE topic = '[^']*'/.exec(halted.remedy)?.[0] ?? '';
  await service.read.query(remedy);
  await eventually(
    async () => (await service.effects()).at(-1) ?? '',
    (line) => line.endsWith('create {"id":99} new'),
  );
});

test('the end waits for the handler that is at work, lets none begin, and gives up one that hangs', { timeout: 60_000 }, async () => {
  await using service = await createService({ partitions: 1 });
  const { expected, send } = history(service);
  await send(4);
  const entered = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let calls = 0;
  const consumer = await service.start(
    async (changes, tx, context) => {
      calls += 1;
      entered.resolve();
      await goOn.promise;
      await record(changes, tx, context);
    },
    { batch: { changes: 2 } },
  );
  await entered.promise;
  const ended = consumer[Symbol.asyncDispose]();
  goOn.resolve();
  await ended;
  await consumer.finished;
  assert.equal(calls, 1);
  assertEqualsLog(await service.effects(), expected.slice(0, 2));
  const hangs = Promise.withResolvers<void>();
  const stop = new AbortController();
  await using hanging = await service.start(
    async (_changes, tx) => {
      hangs.resolve();
      await tx.query('SELECT pg_sleep(3600)');
    },
    { endTimeoutMs: 200, signal: stop.signal },
  );
  await hangs.promise;
  stop.abort();
  await hanging.finished;
  assert.equal((await hanging.status()).state, 'ended');
  assertEqualsLog(await service.effects(), expected.slice(0, 2));
});
