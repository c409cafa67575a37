import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heartbeatTopic } from '#change-events/index.ts';
import { silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { startReadModel } from '#read-model/index.ts';
import { customer, order, upsert } from '#test/support/order-events.ts';
import { startPgbouncer, whyNoPgbouncer } from '#test/support/pgbouncer.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { shadowedNames } from '#test/support/shadowed-names.ts';
import { readModelCommand } from '#read-model/commands.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { orderMirrors } from '#test/support/order-mirrors.ts';
import { terminal } from '#test/support/terminal.ts';

/** Whatever a role, a database or a server sets for sessions: ours mean what their statements say. */

const settings: Readonly<Record<string, string>> = {
  DateStyle: "'SQL, DMY'",
  TimeZone: "'Asia/Kolkata'",
  IntervalStyle: "'sql_standard'",
  bytea_output: "'escape'",
  extra_float_digits: '-3',
  default_transaction_isolation: "'serializable'",
  statement_timeout: "'1s'",
  idle_session_timeout: "'1s'",
  idle_in_transaction_session_timeout: "'1s'",
  search_path: 'evil, pg_catalog, public',
  default_transaction_read_only: 'on',
};

/** A database in which every name of pg_catalog means something else. Nothing is dropped: the database is. */
async function spoil({ read }: ReadModelFixture): Promise<void> {
  await read.query(shadowedNames);
  for (const [name, value] of Object.entries(settings)) await read.query(`ALTER DATABASE "${read.name}" SET ${name} = ${value}`);
  const [made] = await read.query(`SELECT (SELECT count(*) FROM pg_proc WHERE pronamespace = 'evil'::regnamespace) > 2000 AS functions,
    (SELECT count(*) FROM pg_operator WHERE oprnamespace = 'evil'::regnamespace) > 500 AS operators`);
  assert.deepEqual(made, { functions: 't', operators: 't' });
}

function heartbeat(): { readonly key: string; readonly value: string } {
  const source = { connector: 'postgresql', name: 'any', db: 'd', schema: 'cdc', table: 'heartbeat', txId: 1, lsn: 1 };
  const after = { id: 1, beat_at: new Date().toISOString() };
  return { key: '{"id":1}', value: JSON.stringify({ before: null, after, source, op: 'u', ts_ms: 1, transaction: null }) };
}

async function beat(model: ReadModelFixture): Promise<void> {
  await using producer = await model.kafka.transactionalProducer({ transactionalId: `${model.prefix}-beats` });
  const transaction = await producer.begin();
  await transaction.send(heartbeatTopic(model.prefix), [heartbeat()]);
  await transaction.commit();
}

/** Everything that a read model does: makes its tables, applies, follows, parks, says how fresh it is, is rebuilt and switched. */
async function lives(model: ReadModelFixture, config: PipelineConfig): Promise<void> {
  const { read } = model;
  const cdc = terminal((context) => readModelCommand(context, async () => ({ tables: orderMirrors, unfit: [] })), config, repositoryRoot);
  const topic = heartbeatTopic(model.prefix);
  await model.admin.ensureTopics([{ topic, partitions: 1, replicationFactor: 1 }]);
  try {
    assert.match((await cdc.run('migrate')).printed, /up to date/);
    await using running = await startReadModel({ config, logger: silentLogger, signal: new AbortController().signal });
    await model.send('customers', [
      upsert('customers', customer(1)),
      { key: '{"id":2}', value: 'no JSON' },
      upsert('customers', customer(2)),
      upsert('customers', { ...customer(3), nickname: 'n' }),
    ]);
    await model.send('orders', [upsert('orders', order(1, 1))]);
    await model.caughtUp();
    const rows = await read.query(`SELECT id, to_jsonb(c) ->> 'nickname' AS nickname FROM model.customers c ORDER BY id`);
    assert.deepEqual(rows, [
      { id: '1', nickname: null },
      { id: '3', nickname: 'n' },
    ]);
    assert.deepEqual(await read.query('SELECT order_id, customer_name IS NOT NULL AS named FROM model.order_view'), [
      { order_id: '1', named: 't' },
    ]);
    await beat(model);
    await eventually(
      () =>
        read.query("SELECT as_of BETWEEN clock_timestamp() - interval '10 minutes' AND clock_timestamp() AS fresh FROM model.freshness"),
      ([row]) => row?.['fresh'] === 't',
    );

    const parked = await read.query('SELECT id FROM model.parked_events ORDER BY id');
    assert.equal(parked.length, 2);
    for (const { id } of parked) assert.match((await cdc.run('parked', 'list')).printed, new RegExp(String.raw`\b${id}\b`));
    await cdc.run('parked', 'discard', parked[0]?.['id'] ?? '');
    await cdc.run('parked', 'retry');
    assert.deepEqual(await read.query('SELECT count(*) AS rows FROM model.customers'), [{ rows: '3' }]);

    assert.match((await cdc.run('status')).printed, /complete up to/);
    assert.match((await cdc.run('rebuild', '--switch')).printed, /version 2 serves/);
    assert.match((await cdc.run('versions')).printed, /model__v1/);
    assert.match((await cdc.run('rebuild', '--drop-previous')).printed, /dropped version 1/);
    await model.send('customers', [upsert('customers', customer(4))]);
    await model.caughtUp();
    // The new version has parked again what is no event, and what waits behind it.
    assert.deepEqual(await read.query('SELECT id FROM model.customers ORDER BY id'), [{ id: '1' }, { id: '3' }, { id: '4' }]);
    void running;
  } finally {
    await model.admin.deleteTopics([topic]);
  }
}

test(
  'a search_path that puts other functions, operators, types and tables before those of pg_catalog changes nothing',
  { timeout: 300_000 },
  async () => {
    await using model = await createReadModel({ partitions: 1 });
    await spoil(model);
    await lives(model, model.config);
  },
);

test('nor does it through a pooler that hands out sessions', { timeout: 300_000, skip: (await whyNoPgbouncer()) ?? false }, async () => {
  await using model = await createReadModel({ partitions: 1 });
  await spoil(model);
  const { read } = model;
  await using pooler = await startPgbouncer(read.config, 'session', read.config);
  const { host, port } = pooler;
  const { readModel } = model.config;
  assert.ok(readModel);
  await lives(model, { ...model.config, readModel: { ...readModel, host, port } });
});

test('a process that alone puts transactions together finds its lock by pg_catalog’s names', { timeout: 300_000 }, async () => {
  await using model = await createReadModel({ partitions: 1, settings: { consistency: 'transaction' } });
  await spoil(model);
  const boundary = `${model.prefix}.transaction`;
  await model.admin.ensureTopics([{ topic: boundary, partitions: 1, replicationFactor: 1 }]);
  try {
    await using running = await model.start();
    await model.send('customers', [upsert('customers', customer(1))]);
    await model.caughtUp();
    void running;
  } finally {
    await model.admin.deleteTopics([boundary]);
  }
});
