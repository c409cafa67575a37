import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { heartbeatTopic } from '#change-events/index.ts';
import type { OutgoingMessage, TransactionalProducer } from '#kafka/index.ts';
import { eventually } from '#test/support/read-database.ts';
import { groupsNamed } from '#test/support/group-holders.ts';
import { createReadModel, killed, type ReadModelFixture } from '#test/support/read-model.ts';
import { produceBatch } from '#test/support/raw-produce.ts';
import { recordBatch } from '#test/support/record-batches.ts';
import { repeat } from '#test/support/repeat.ts';
import { uniqueName } from '#test/support/stack.ts';
import { readModelOf, terminal } from '#test/support/terminal.ts';

const resources = new AsyncDisposableStack();
let model: ReadModelFixture;
let topic: string;
let producer: TransactionalProducer;

before(async () => {
  model = resources.use(await createReadModel({ partitions: 1 }));
  topic = heartbeatTopic(model.prefix);
  producer = resources.use(await model.kafka.transactionalProducer({ transactionalId: uniqueName('beats') }));
});

after(() => resources.disposeAsync());

/** The topic as whoever makes it first does. */
async function makeTopic(): Promise<void> {
  await model.admin.ensureTopics([{ topic, partitions: 1, replicationFactor: 1, config: { 'cleanup.policy': 'compact' } }]);
  resources.defer(() => model.admin.deleteTopics([topic]));
}

/** Messages are made when nothing is left to wait for: their time stamp is then the time they speak of. */
async function send(make: () => readonly OutgoingMessage[]): Promise<void> {
  const transaction = await producer.begin();
  await transaction.send(topic, make());
  await transaction.commit();
}

/** A heartbeat of the log whose clock is ahead by so much. */
function beat(aheadMs = 0): OutgoingMessage {
  const source = { connector: 'postgresql', name: model.prefix, db: 'd', schema: 'cdc', table: 'heartbeat', txId: 1, lsn: 1 };
  const row = { id: 1, beat_at: new Date(Date.now() + aheadMs).toISOString() };
  return { key: '{"id":1}', value: JSON.stringify({ before: null, after: row, source, op: 'u', ts_ms: 1, transaction: null }) };
}

const junk: readonly OutgoingMessage[] = [
  { key: 'junk', value: 'no JSON' },
  { key: 'junk', value: '{}' },
  { key: 'junk', value: Buffer.from([0, 0, 0, 9, 9, 1, 2, 3]) },
  { key: 'junk', value: Buffer.from([0xff, 0xfe, 0x00]) },
  { key: 'junk', value: JSON.stringify({ before: null, after: { id: 'all', beat_at: '2999-01-01T00:00:00Z' }, source: {}, op: 'u' }) },
];

type Seen = { readonly asOf: string | null; readonly passedOver: { readonly unreadable: number; readonly ahead: number } };

async function seen(): Promise<Seen> {
  const [row] = await model.read.query(
    `SELECT as_of, coalesce((heard #>> '{passedOver,unreadable}')::int, 0) AS unreadable, coalesce((heard #>> '{passedOver,ahead}')::int, 0) AS ahead
       FROM ${model.schema}.freshness`,
  );
  return { asOf: row?.['as_of'] ?? null, passedOver: { unreadable: Number(row?.['unreadable']), ahead: Number(row?.['ahead']) } };
}

/** Beats until the model claims more than before, and resolves when it claims all that the last beat proved. */
async function beatUntilMoved(): Promise<void> {
  const { asOf } = await seen();
  let last = 0;
  const beating = repeat(() =>
    send(() => {
      last = Date.now();
      return [beat()];
    }),
  );
  try {
    await eventually(seen, (now) => now.asOf !== null && (asOf === null || now.asOf > asOf));
  } finally {
    await beating.stop();
  }
  await eventually(
    () => model.read.query(`SELECT as_of >= to_timestamp($1::bigint / 1000.0) AS reached FROM ${model.schema}.freshness`, [last]),
    ([row]) => row?.['reached'] === 't',
  );
}

test('a first start reads no more than the end of a long topic', async () => {
  await makeTopic();
  const many = Array.from({ length: 1500 }, (_, index) => ({ key: `junk ${index}`, value: 'no JSON' }));
  for (let round = 0; round < 4; round += 1) await send(() => many);
  await using running = await model.start();
  await beatUntilMoved();
  const { passedOver } = await seen();
  assert.ok(passedOver.unreadable < 1500, `${passedOver.unreadable} of 6000 were read`);
  void running;
});

test('junk is passed over and counted, and the freshness moves on', async () => {
  const earlier = await seen();
  await using running = await model.start();
  await send(() => junk);
  await eventually(seen, ({ passedOver }) => passedOver.unreadable === earlier.passedOver.unreadable + junk.length);
  await beatUntilMoved();
  const { printed } = await terminal(readModelOf, model.config).run('status');
  assert.match(printed, /ignored messages of heartbeat topics: \d+ no heartbeat/);
  void running;
});

test('a clock that was ahead neither holds the freshness nor raises it, also when its time has come and the model starts again', async () => {
  const earlier = await seen();
  const aheadMs = 4000;
  {
    await using running = await model.start();
    await send(() => [beat(3_600_000)]);
    await eventually(seen, ({ passedOver }) => passedOver.ahead === earlier.passedOver.ahead + 1);
    await beatUntilMoved();
    await send(() => [beat(aheadMs)]);
    await eventually(seen, ({ passedOver }) => passedOver.ahead === earlier.passedOver.ahead + 2);
    void running;
  }
  const proven = await seen();
  // And one more that comes while no model runs.
  await send(() => [beat(aheadMs)]);
  const until = Date.now() + aheadMs;
  await eventually(
    async () => Date.now(),
    (now) => now > until,
  );
  await using running = await model.start();
  await eventually(seen, ({ passedOver }) => passedOver.ahead === proven.passedOver.ahead + 1);
  assert.equal((await seen()).asOf, proven.asOf);
  await beatUntilMoved();
  assert.equal((await seen()).passedOver.unreadable, proven.passedOver.unreadable, 'nothing is judged a second time');
  const { printed } = await terminal(readModelOf, model.config).run('status');
  assert.match(printed, /\d with a time in the future \(the last by [34]\.\d s: correct the source's clock\)/);
  void running;
});

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(`${client}: heartbeats are read in no group, also behind a batch that cannot be read; a model that is killed leaves its own group and no other`, async () => {
    await using own = await createReadModel({ client, partitions: 1, maxBatchMb: 1 });
    const beats = heartbeatTopic(own.prefix);
    await own.admin.ensureTopics([{ topic: beats, partitions: 1, replicationFactor: 1 }]);
    try {
      await produceBatch(beats, 0, recordBatch([{ key: 'blanks', value: Buffer.alloc(3 * 2 ** 20, ' ') }], { packer: 'zstd' }));
      await produceBatch(beats, 0, recordBatch([beat(-60_000)], { timestamp: BigInt(Date.now()) }));
      const child = own.spawn();
      await eventually(
        () => own.read.query(`SELECT as_of, heard #>> '{passedOver,unreadable}' AS unreadable FROM ${own.schema}.freshness`),
        ([row]) => row?.['as_of'] !== null && row?.['unreadable'] === '1',
        120_000,
      );
      assert.deepEqual(await groupsNamed(own.groupId), [own.groupId]);
      await killed(child);
      assert.deepEqual(await groupsNamed(own.groupId), [own.groupId]);
    } finally {
      await own.admin.deleteTopics([beats]);
    }
  });
}
