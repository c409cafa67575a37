import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutgoingMessage } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';
import { commitBatches } from '#read-model/apply/commit-batches.ts';
import { inTransaction } from '#read-model/database.ts';
import { drainQueue } from '#read-model/parking/drain.ts';
import { queuesOf } from '#read-model/parking/parked-events.ts';
import { partitionStatus } from '#test/support/read-model-status.ts';
import { createDirectModel } from '#test/support/direct-apply.ts';
import { cdcProcess } from '#test/support/cli-process.ts';
import { order, product, upsert, type Columns } from '#test/support/order-events.ts';
import { randomBelow } from '#test/support/order-history.ts';
import { eventually } from '#test/support/read-database.ts';
import { assertViewIsTrue } from '#test/support/read-model-truth.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { cdcReadModel } from '#test/support/terminal.ts';

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);

type Listed = { readonly id: string; readonly key: string | null; readonly offset: string; readonly code: string; readonly cause: string };

async function parkedList(model: ReadModelFixture): Promise<readonly Listed[]> {
  const listed: Listed[] = JSON.parse(await cdcReadModel(model.config, 'parked', 'list', '--json'));
  return listed;
}

const refuseBad = `ALTER TABLE model.orders ADD CONSTRAINT refuse_bad CHECK (status <> 'bad')`;
const acceptBad = 'ALTER TABLE model.orders DROP CONSTRAINT refuse_bad';

async function statuses(model: ReadModelFixture): Promise<unknown> {
  return model.read.query('SELECT id, status FROM model.orders ORDER BY id');
}

test(
  'an event that cannot be applied is parked, its key queues behind it, all else flows; a retry drains in order',
  { timeout: 150_000 },
  async () => {
    await using model = await createReadModel({ partitions: 1 });
    await model.read.query(refuseBad);
    await using running = await model.start();
    await model.send('orders', [
      upsert('orders', order(4, 1, 'four')),
      upsert('orders', order(5, 1, 'good')),
      upsert('orders', order(5, 1, 'bad'), 'u'),
      upsert('orders', order(6, 1, 'six')),
    ]);
    await model.caughtUp();
    await model.send('orders', [
      upsert('orders', order(5, 1, 'bad'), 'u'),
      upsert('orders', order(5, 1, 'good again'), 'u'),
      upsert('orders', order(4, 1, 'four more'), 'u'),
    ]);
    await model.caughtUp();
    const expected = [
      { id: '4', status: 'four more' },
      { id: '5', status: 'good' },
      { id: '6', status: 'six' },
    ];
    assert.deepEqual(await statuses(model), expected);
    const parked = await parkedList(model);
    assert.deepEqual(
      parked.map(({ key, offset, code }) => [key, offset, code]),
      [
        ['{"id":5}', '2', 'READ_MODEL_EVENT_INAPPLICABLE'],
        ['{"id":5}', '5', 'BEHIND'],
        ['{"id":5}', '6', 'BEHIND'],
      ],
    );
    assert.match(parked[0]?.cause ?? '', /refuse_bad/);
    assert.match(await cdcReadModel(model.config, 'parked', 'show', parked[0]?.id ?? ''), /"status":"bad"/);
    const status: { readonly topic: string; readonly parked: number }[] = JSON.parse(await cdcReadModel(model.config, 'status', '--json'));
    assert.deepEqual(
      status.filter(({ parked: count }) => count > 0).map(({ topic, parked: count }) => [topic, count]),
      [[model.topic('orders'), 3]],
    );

    // Nothing is fixed yet: a retry changes nothing and says so.
    assert.match(await cdcReadModel(model.config, 'parked', 'retry'), /Applied 0 events of 1 keys; 1 keys still wait/);
    assert.equal((await parkedList(model)).length, 3);
    await model.read.query(acceptBad);
    assert.match(await cdcReadModel(model.config, 'parked', 'retry'), /Applied 3 events of 1 keys$/);
    assert.equal(await cdcReadModel(model.config, 'parked', 'list'), 'Nothing is parked.');
    await model.send('orders', [upsert('orders', order(5, 1, 'live'), 'u')]);
    await model.caughtUp();
    assert.deepEqual(await model.read.query('SELECT status FROM model.orders WHERE id = 5'), [{ status: 'live' }]);
    await assertViewIsTrue(model.read, 'model');
    void running;
  },
);

test('what is no event at all is parked by its key bytes; discarding it lets its key go on', { timeout: 150_000 }, async () => {
  await using model = await createReadModel({ partitions: 1 });
  await using running = await model.start();
  await model.send('orders', [
    { key: '{"id":1}', value: 'not JSON' },
    upsert('orders', order(1, 1, 'behind')),
    { key: 'no key of ours', value: '{"op":"c"}' },
    { key: null, value: '{}' },
    { key: '{"id":3}', value: `\u0000${'x'.repeat(3000)}` },
    { key: 'k'.repeat(10_000), value: '{"after":{"id":9}}' },
    upsert('orders', order(2, 1, 'flows')),
  ]);
  await model.caughtUp();
  assert.deepEqual(await statuses(model), [{ id: '2', status: 'flows' }]);
  const parked = await parkedList(model);
  assert.deepEqual(
    parked.map(({ offset, code }) => [offset, code]),
    [
      ['0', 'EVENT_UNDECODABLE'],
      ['1', 'BEHIND'],
      ['2', 'EVENT_UNDECODABLE'],
      ['3', 'EVENT_UNDECODABLE'],
      ['4', 'EVENT_UNDECODABLE'],
      ['5', 'EVENT_UNDECODABLE'],
    ],
  );
  await cdcReadModel(model.config, 'parked', 'discard', parked[0]?.id ?? '');
  await cdcReadModel(model.config, 'parked', 'retry', parked[1]?.id ?? '');
  assert.deepEqual(await statuses(model), [
    { id: '1', status: 'behind' },
    { id: '2', status: 'flows' },
  ]);
  const all: { readonly state: string }[] = JSON.parse(await cdcReadModel(model.config, 'parked', 'list', '--all', '--json'));
  assert.deepEqual(
    all.map(({ state }) => state),
    ['discarded', 'applied', 'parked', 'parked', 'parked', 'parked'],
  );
  await assert.rejects(
    cdcReadModel(model.config, 'parked', 'discard', '99'),
    (error) => error instanceof CdcError && error.code === 'READ_MODEL_PARKED_UNKNOWN',
  );
  void running;
});

test(`every event of a topic is applied, superseded or parked, and exactly one of them (seed ${seed})`, { timeout: 150_000 }, async () => {
  await using model = await createReadModel();
  await model.read.query(refuseBad);
  const below = randomBelow(seed);
  const sent: { readonly id: number; readonly status: string | null }[] = [];
  const next = (): OutgoingMessage => {
    const id = below(60);
    const kind = below(100);
    const status = kind < 3 ? 'bad' : `status ${sent.length}`;
    sent.push({ id, status: kind < 97 ? status : null });
    return kind < 97 ? upsert('orders', order(id, 1, status)) : { key: `{"id":${id}}`, value: 'junk' };
  };
  await using running = await model.start();
  for (let round = 0; round < 8; round += 1) await model.send('orders', Array.from({ length: 150 }, next));
  await model.caughtUp();
  void running;

  const log = await model.read.query('SELECT sum(events) AS events, sum(parked) AS parked FROM model.apply_log');
  const parked = await model.read.query(`SELECT encode(key, 'escape') AS key, encode(value, 'escape') AS value FROM model.parked_events`);
  assert.deepEqual(log, [{ events: String(sent.length - parked.length), parked: String(parked.length) }]);
  assert.ok(parked.length > 20, `${parked.length} parked`);
  // Each event has a status of its own (the bad ones aside), so what is parked can be counted apart from what was applied.
  const parkedEvents = new Set(parked.map(({ key, value }) => `${key} ${/"status":"(status \d+)"/.exec(value ?? '')?.[1] ?? ''}`));
  const rows = new Map<number, Columns>();
  for (const { id, status } of sent) {
    if (status === null || status === 'bad' || parkedEvents.has(`{"id":${id}} ${status}`)) continue;
    rows.set(id, { status });
  }
  assert.deepEqual(
    await model.read.query('SELECT id, status FROM model.orders ORDER BY id'),
    [...rows].toSorted(([a], [b]) => a - b).map(([id, { status }]) => ({ id: String(id), status })),
  );
  // What is parked of a key is a run up to its end: nothing was applied past a parked event.
  const places = await model.read.query(
    `SELECT count(*) FROM model.parked_events p WHERE p.code = 'BEHIND'
        AND NOT EXISTS (SELECT FROM model.parked_events f WHERE f.queue = p.queue AND f.partition = p.partition
                           AND f.code <> 'BEHIND' AND f.event_offset < p.event_offset)`,
  );
  assert.deepEqual(places, [{ count: '0' }]);
  await assertViewIsTrue(model.read, 'model');

  // And all of them in order, once the mirror takes them: the model is as if nothing had happened.
  await model.read.query(acceptBad);
  await model.read.query(`UPDATE model.parked_events SET state = 'discarded' WHERE value = 'junk'`);
  await cdcReadModel(model.config, 'parked', 'retry');
  const last = new Map(sent.flatMap(({ id, status }) => (status === null ? [] : [[id, status] as const])));
  assert.deepEqual(
    await model.read.query('SELECT id, status FROM model.orders ORDER BY id'),
    [...last].toSorted(([a], [b]) => a - b).map(([id, status]) => ({ id: String(id), status })),
  );
});

async function haltOf(model: ReadModelFixture): Promise<{ readonly code: string; readonly cause: string }> {
  const halts = async () => (await partitionStatus(model.config)).flatMap(({ halted }) => halted ?? []);
  const [halt] = await eventually(halts, (found) => found.length > 0);
  assert.ok(halt);
  return halt;
}

test(
  'past the cap the table halts, names an event, has skipped nothing, and goes on when there is room',
  { timeout: 150_000 },
  async () => {
    await using model = await createReadModel({ partitions: 1, settings: { parkedMax: 5 } });
    await model.read.query(refuseBad);
    await using running = await model.start();
    await model.send(
      'orders',
      Array.from({ length: 6 }, (_, id) => upsert('orders', order(id, 1, 'bad'))),
    );
    const { code, cause } = await haltOf(model);
    assert.equal(code, 'READ_MODEL_PARKED_FULL');
    assert.match(cause, /more than 5 parked events; one of them: topic .*orders, partition 0, offset 0: .*refuse_bad/);
    assert.deepEqual(await model.read.query(`SELECT next_offset FROM model.applied_offsets WHERE topic LIKE '%.orders'`), [
      { next_offset: '0' },
    ]);
    await model.read.query(acceptBad);
    await model.caughtUp();
    assert.deepEqual(await model.read.query('SELECT count(*) FROM model.orders'), [{ count: '6' }]);
    void running;
  },
);

test('a table that is gone is no poison: the table halts by name instead of parking everything', { timeout: 150_000 }, async () => {
  await using model = await createReadModel({ partitions: 1 });
  await using running = await model.start();
  await model.read.query('ALTER TABLE model.products RENAME TO elsewhere');
  await model.send('products', [upsert('products', product(1))]);
  const { code, cause } = await haltOf(model);
  assert.equal(code, 'READ_MODEL_HALTED');
  assert.match(cause, /products, partition 0 halts before offset 0: .*products/);
  assert.deepEqual(await model.read.query('SELECT count(*) FROM model.parked_events'), [{ count: '0' }]);
  await model.read.query('ALTER TABLE model.elsewhere RENAME TO products');
  await model.caughtUp();
  assert.deepEqual(await model.read.query('SELECT id FROM model.products'), [{ id: '1' }]);
  void running;
});

test('a retry and live events of the same key at the same moment keep their order', { timeout: 150_000 }, async () => {
  await using direct = await createDirectModel();
  await direct.place('orders');
  const model = { ...direct.model, parkMost: 100 };
  let offset = 0;
  const apply = async (status: string): Promise<void> => {
    const batch = direct.batch('orders', offset, [upsert('orders', order(1, 1, status), 'u')]);
    offset += 1;
    await commitBatches(direct.pool, model, [batch], { parkFailing: true });
  };
  for (let round = 0; round < 25; round += 1) {
    await direct.read.query(refuseBad);
    await apply('bad');
    await apply(`behind ${round}`);
    await direct.read.query(acceptBad);
    const [queue] = await inTransaction(direct.pool, 'model', (client) => queuesOf(client, {}));
    assert.ok(queue);
    const { mirror } = direct.batch('orders', 0, []);
    const retry = inTransaction(direct.pool, 'model', (client) => drainQueue(client, model, mirror, queue));
    await Promise.all([retry, apply(`live ${round}`)]);
    // Whichever was first: nothing is left to wait for nothing.
    assert.deepEqual(await direct.read.query('SELECT status FROM model.orders'), [{ status: `live ${round}` }], `round ${round}`);
  }
});

test('thousands of large parked events are listed and retried in bounded memory', { timeout: 300_000 }, async () => {
  await using model = await createReadModel({ partitions: 1 });
  const count = 5000;
  await model.read.query(
    `INSERT INTO model.applied_offsets (topic, partition, next_offset, epoch) VALUES ('${model.topic('orders')}', 0, ${count}, 1);
     INSERT INTO model.parked_events (topic, partition, event_offset, queue, key, value, headers, code, cause)
     SELECT '${model.topic('orders')}', 0, i, 'one', convert_to('{"id":1}', 'UTF8'), convert_to(repeat('x', 40000), 'UTF8'), '{}', 'EVENT_UNDECODABLE', 'made so'
       FROM generate_series(0, ${count - 1}) AS i`,
  );
  const listed = await cdcProcess(model.config, 'read-model', 'parked', 'list', '--json');
  const entries: unknown = JSON.parse(listed.printed);
  assert.ok(Array.isArray(entries) && entries.length === count);
  const retried = await cdcProcess(model.config, 'read-model', 'parked', 'retry');
  assert.match(retried.printed, /Applied 0 events of 1 keys; 1 keys still wait/);
  assert.match(await cdcReadModel(model.config, 'parked', 'show', String(count)), /x{40000}/);
  // All values at once take 400 MB as the texts in which they come, and as much again.
  for (const { peakMb } of [listed, retried]) assert.ok(peakMb > 0 && peakMb < 350, `it had ${listed.peakMb} and ${retried.peakMb} MiB`);
});
