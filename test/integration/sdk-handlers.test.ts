import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Poison, type Consumer } from '#sdk/index.ts';
import { order, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createService, record, recordOne, type Service } from '#test/support/sdk.ts';

/** Rows of one partition: order 1 to `count`. */
async function withOrders(count: number): Promise<Service> {
  const service = await createService({ partitions: 1 });
  await service.send(...Array.from({ length: count }, (_, at) => upsert('orders', order(at + 1, 1))));
  return service;
}

const all = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `0/${at} create {"id":${at + 1}} new`);

async function troubleOf(consumer: Consumer, code: string): Promise<void> {
  await eventually(
    async () => (await consumer.status()).partitions,
    (partitions) => partitions.some(({ trouble, halted }) => trouble?.code === code && halted?.code === code),
  );
}

test(
  'a handler that throws leaves nothing behind, shows in the status, and is given the same changes until it succeeds',
  { timeout: 60_000 },
  async () => {
    await using service = await withOrders(5);
    const attempts: number[] = [];
    let works = false;
    await using consumer = await service.start(async (changes, tx, context) => {
      attempts.push(context.attempt);
      await record(changes, tx, context);
      if (!works) throw new Error('no stock');
    });
    await troubleOf(consumer, 'CONSUMER_HANDLER_FAILED');
    assert.deepEqual(await service.effects(), []);
    works = true;
    await service.caughtUp();
    assert.deepEqual(await service.effects(), all(5));
    assert.ok(attempts.length > 1);
    assert.deepEqual(
      attempts,
      attempts.map((_, at) => at + 1),
    );
    const { partitions } = await consumer.status();
    assert.deepEqual([partitions[0]?.trouble, partitions[0]?.halted], [null, null]);
  },
);

test(
  'a handler that hangs has its signal aborted and its connection ended, also in the middle of a statement; nothing of it stays',
  { timeout: 60_000 },
  async () => {
    await using service = await withOrders(3);
    let tries = 0;
    const aborted: unknown[] = [];
    await using consumer = await service.start(
      async (changes, tx, context) => {
        tries += 1;
        await record(changes, tx, context);
        if (tries > 2) return;
        context.signal.addEventListener('abort', () => aborted.push(context.signal.reason));
        await (tries === 1 ? tx.query('SELECT pg_sleep(3600)') : new Promise(() => undefined));
      },
      { handlerTimeoutMs: 500 },
    );
    await service.caughtUp();
    assert.deepEqual(await service.effects(), all(3));
    assert.equal(aborted.length, 2);
    assert.ok(aborted.every((reason) => reason instanceof Error && 'code' in reason && reason.code === 'CONSUMER_HANDLER_TIMEOUT'));
    const sleeping = await service.read.query(
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(3600)%' AND state = 'active' AND pid <> pg_backend_pid()`,
    );
    assert.deepEqual(sleeping, []);
    void consumer;
  },
);

for (const swallows of [false, true]) {
  test(
    `a handler that COMMITs is refused by name, and nothing of it is there (${swallows ? 'it goes on all the same' : 'it fails with it'})`,
    { timeout: 60_000 },
    async () => {
      await using service = await withOrders(3);
      await using consumer = await service.start(async (changes, tx, context) => {
        await record(changes, tx, context);
        if (swallows) await tx.query('COMMIT').catch(() => undefined);
        else await tx.query('COMMIT');
      });
      await assert.rejects(consumer.finished, { code: 'CONSUMER_TRANSACTION_ENDED' });
      assert.deepEqual(await service.effects(), []);
      assert.equal((await consumer.status()).state, 'ended');
      await using again = await service.start();
      await service.caughtUp();
      assert.deepEqual(await service.effects(), all(3));
      void again;
    },
  );
}

test(
  'a handler that ends its transaction and goes on outside of any is named, whether it returns or throws',
  { timeout: 60_000 },
  async () => {
    for (const throws of [false, true]) {
      await using service = await withOrders(1);
      let calls = 0;
      await using consumer = await service.start(async (changes, tx, context) => {
        calls += 1;
        await tx.query('ROLLBACK');
        await record(changes, tx, context);
        if (throws) throw new Error('afterwards');
      });
      await assert.rejects(consumer.finished, { code: 'CONSUMER_TRANSACTION_ENDED' });
      assert.equal(calls, 1, 'what it wrote outside is not written twice');
    }
  },
);

test('a handler that releases its connection is refused by name, also when it swallows that', { timeout: 60_000 }, async () => {
  await using service = await withOrders(2);
  await using consumer = await service.start(async (changes, tx, context) => {
    await record(changes, tx, context);
    try {
      if ('release' in tx && typeof tx.release === 'function') tx.release();
    } catch {
      // As a handler might.
    }
  });
  await assert.rejects(consumer.finished, { code: 'CONSUMER_CONNECTION_TAKEN' });
  assert.deepEqual(await service.effects(), []);
});

test('a handler that swallows an error of its transaction is not taken for one that succeeded', { timeout: 60_000 }, async () => {
  await using service = await withOrders(2);
  let swallows = true;
  await using consumer = await service.start(async (changes, tx, context) => {
    await record(changes, tx, context);
    if (swallows) await tx.query('SELECT 1/0').catch(() => undefined);
  });
  await troubleOf(consumer, 'CONSUMER_HANDLER_FAILED');
  swallows = false;
  await service.caughtUp();
  assert.deepEqual(await service.effects(), all(2));
});

test('a query after the handler has returned fails, and reaches nobody else’s transaction', { timeout: 60_000 }, async () => {
  await using service = await withOrders(1);
  const late = Promise.withResolvers<() => Promise<unknown>>();
  await using consumer = await service.start(async (changes, tx, context) => {
    await record(changes, tx, context);
    late.resolve(async () => tx.query('DELETE FROM effects'));
  });
  await service.caughtUp();
  await assert.rejects((await late.promise)(), { code: 'CONSUMER_CONNECTION_TAKEN' });
  assert.deepEqual(await service.effects(), all(1));
  void consumer;
});

test('a connection that is lost in the middle of a handler is recovered from', { timeout: 60_000 }, async () => {
  await using service = await withOrders(4);
  let losses = 0;
  await using consumer = await service.start(async (changes, tx, context) => {
    await record(changes, tx, context);
    if (losses === 2) return;
    losses += 1;
    const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await service.read.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
    await tx.query('SELECT 1');
  });
  await service.caughtUp();
  assert.deepEqual(await service.effects(), all(4));
  assert.equal(losses, 2);
  void consumer;
});

test('the handler has the names of its own pool, and the consumer’s tables are not in its way', { timeout: 60_000 }, async () => {
  await using service = await withOrders(1);
  await service.read.query('CREATE SCHEMA billing; CREATE TABLE billing.effects (LIKE public.effects INCLUDING ALL)');
  const pools = new Set<string>();
  await using consumer = await service.start(async (_changes, tx) => {
    const { rows } = await tx.query<{ search_path: string }>('SHOW search_path');
    pools.add(rows[0]?.search_path ?? '');
  });
  await service.caughtUp();
  assert.deepEqual([...pools], ['"$user", public']);
  void consumer;
});

test(
  'a change that is called poison is parked with the later ones of its key; retried in order, discarded by name',
  { timeout: 60_000 },
  async () => {
    await using service = await createService({ partitions: 1 });
    await service.send(upsert('orders', order(1, 1, 'bad')), upsert('orders', order(2, 1)), upsert('orders', order(1, 1, 'later'), 'u'));
    let knows = false;
    await using consumer = await service.start(async (changes, tx) => {
      for (const change of changes) {
        if (!knows && change.after?.['status'] === 'bad') throw new Poison(change, 'no such status');
        await recordOne(change, tx);
      }
    });
    await service.caughtUp();
    await service.send(upsert('orders', order(1, 1, 'latest'), 'u'), upsert('orders', order(3, 1)));
    await service.caughtUp();
    assert.deepEqual(await service.effects(), ['0/1 create {"id":2} new', '0/5 create {"id":3} new']);
    const listed = await consumer.parked.list();
    assert.deepEqual(
      listed.map(({ code, key }) => [code, key]),
      [
        ['CONSUMER_POISON', '{"id":1}'],
        ['BEHIND', '{"id":1}'],
        ['BEHIND', '{"id":1}'],
      ],
    );
    assert.match((await consumer.parked.show(listed[0]?.id ?? '')).value ?? '', /"status":"bad"/);
    const [failed] = await consumer.parked.retry();
    assert.deepEqual([failed?.applied, failed?.stoppedBy?.cause], [0, 'no such status']);
    knows = true;
    const [done] = await consumer.parked.retry({ ids: [listed[2]?.id ?? ''] });
    assert.deepEqual([done?.applied, done?.stoppedBy], [3, null]);
    assert.deepEqual(
      (await service.effects()).slice(2).map((line) => line.split(' ').slice(1).join(' ')),
      ['create {"id":1} bad', 'update {"id":1} later', 'update {"id":1} latest'],
    );
    await service.send(upsert('orders', order(1, 1, 'live'), 'u'));
    await service.caughtUp();
    assert.match((await service.effects()).at(-1) ?? '', /update \{"id":1\} live$/);
    await assert.rejects(consumer.parked.discard(['4711']), { code: 'CONSUMER_PARKED_UNKNOWN' });
    await assert.rejects(consumer.parked.retry({ ids: ['no id'] }), { code: 'CONSUMER_PARKED_UNKNOWN' });
  },
);

test(
  'what cannot be decoded is parked; with onError park the one change that fails is found among others',
  { timeout: 60_000 },
  async () => {
    await using service = await createService({ partitions: 1 });
    const orders = Array.from({ length: 20 }, (_, at) => upsert('orders', order(at + 1, 1, at === 12 ? 'bad' : 'new')));
    await service.send(...orders.slice(0, 5), { key: '{"id":100}', value: 'no JSON' }, ...orders.slice(5));
    await using consumer = await service.start(
      async (changes, tx) => {
        for (const change of changes) {
          await recordOne(change, tx);
          if (change.after?.['status'] === 'bad') throw new Error('out of order');
        }
      },
      { onError: 'park', tries: 2, retryMaxMs: 100 },
    );
    await service.caughtUp();
    assert.deepEqual(
      (await consumer.parked.list()).map(({ code, key }) => [code, key]),
      [
        ['EVENT_UNDECODABLE', '{"id":100}'],
        ['CONSUMER_HANDLER_FAILED', '{"id":13}'],
      ],
    );
    const ids = (await service.effects()).map((line) => Number(/"id":(\d+)/.exec(line)?.[1]));
    assert.deepEqual(
      ids,
      orders.map((_, at) => at + 1).filter((id) => id !== 13),
    );
    const [undecodable] = await consumer.parked.list();
    await consumer.parked.discard([undecodable?.id ?? '']);
    assert.equal((await consumer.parked.list()).length, 1);
    assert.equal((await consumer.parked.list({ all: true })).length, 2);
  },
);
