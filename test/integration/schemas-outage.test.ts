import assert from 'node:assert/strict';
import { test } from 'node:test';
import { avroOrders, schemasOfOrders } from '#test/support/avro-orders.ts';
import { hidingRegistry } from '#test/support/hiding-registry.ts';
import { customer, order, remove, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { halted, statuses, untilStatuses, type HaltedPartition } from '#test/support/read-model-orders.ts';
import { assertAppliedOnce } from '#test/support/read-model-truth.ts';
import { createReadModel } from '#test/support/read-model.ts';
import { registryProxy, testRegistry } from '#test/support/registry.ts';
import { uniqueName } from '#test/support/stack.ts';
import { cdcReadModel } from '#test/support/terminal.ts';

test('the registry is away: what is known serves, a new id waits in its partition and is reported, nothing is lost or parked; at the start too', async () => {
  await using way = await registryProxy();
  const { schemaRegistry } = way;
  await using model = await createReadModel({ partitions: 2, schemaRegistry });
  const [first, second] = [await avroOrders(uniqueName('known')), await avroOrders(uniqueName('later'))];
  const at = (partition: number, message: ReturnType<typeof first.upsert>) => ({ ...message, partition });
  const waiting = (): Promise<readonly HaltedPartition[]> => halted(model);

  {
    await using running = await model.start();
    await model.send('orders', [at(0, first.upsert(1, 'one')), at(1, first.upsert(2, 'two'))]);
    await untilStatuses(model, { 1: 'one', 2: 'two' });
    way.mute();
    await model.send('orders', [
      at(0, first.upsert(1, 'known', 'u')),
      at(0, second.upsert(3, 'waits')),
      at(1, first.upsert(2, 'serves', 'u')),
    ]);
    await model.send('customers', [upsert('customers', customer(1))]);
    await eventually(waiting, (found) => found.length > 0);
    await model.send('orders', [at(1, upsert('orders', order(4, 1, 'json goes on'))), at(1, first.upsert(2, 'still serves', 'u'))]);
    await eventually(
      () => statuses(model),
      (now) => now['4'] === 'json goes on' && now['2'] === 'still serves',
    );
    const [halt, ...others] = await waiting();
    assert.deepEqual([halt?.partition, halt?.halted.code, others], [0, 'REGISTRY_UNREACHABLE', []]);
    assert.match(halt?.halted.cause ?? '', new RegExp(`//127.0.0.1:${way.port}`));
    assert.equal((await statuses(model))['3'], undefined);
    way.unmute();
    await untilStatuses(model, { 1: 'known', 2: 'still serves', 3: 'waits', 4: 'json goes on' });
    assert.deepEqual(await waiting(), []);
    void running;
  }

  way.mute();
  await model.send('orders', [at(0, second.upsert(3, 'after a restart', 'u')), ...second.remove(1).map((message) => at(0, message))]);
  {
    await using restarted = await model.start();
    await eventually(waiting, (found) => found.some(({ partition }) => partition === 0));
    void restarted;
  }
  // What another process left behind as waiting is no reason for other partitions of the table to halt.
  await using again = await model.start();
  await model.send('orders', [at(1, upsert('orders', order(4, 1, 'json after a restart'), 'u'))]);
  await eventually(
    () => statuses(model),
    (now) => now['4'] === 'json after a restart',
  );
  assert.equal((await statuses(model))['3'], 'waits');
  way.unmute();
  await untilStatuses(model, { 2: 'still serves', 3: 'after a restart', 4: 'json after a restart' });
  assert.deepEqual(await model.read.query('SELECT cause FROM model.parked_events'), []);
  void again;
});

test('the read database is away while a partition waits for a schema, and goes before it can: whichever is back first, nothing is lost or applied twice', async () => {
  await using way = await registryProxy();
  const { schemaRegistry } = way;
  await using model = await createReadModel({ partitions: 2, schemaRegistry });
  const [first, second, third] = await Promise.all(['known', 'later', 'latest'].map((name) => avroOrders(uniqueName(name))));
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  const at = (partition: number, message: ReturnType<typeof first.upsert>) => ({ ...message, partition });
  let sent = 0;
  const send = async (...messages: readonly ReturnType<typeof at>[]): Promise<void> => {
    await model.send('orders', messages);
    sent += messages.length;
  };
  await using running = await model.start();
  await send(at(0, first.upsert(1, 'one')), at(1, first.upsert(2, 'two')));
  await untilStatuses(model, { 1: 'one', 2: 'two' });

  // It waits, and then loses the database; the registry is back first.
  way.mute();
  await send(at(0, first.upsert(1, 'known', 'u')), at(0, second.upsert(3, 'waits')));
  await eventually(
    () => halted(model),
    (found) => found.length === 1,
  );
  const back = await model.read.refuseConnections();
  const askedBefore = way.saidInVain();
  await send(at(1, first.upsert(2, 'meanwhile', 'u')), at(0, second.upsert(3, 'still waits', 'u')));
  await eventually(
    async () => way.saidInVain() > askedBefore && /applying to model failed for now/.test(model.log()),
    (asked) => asked,
  );
  way.unmute();
  await send(at(0, second.upsert(4, 'the schema is here')));
  await back();
  await untilStatuses(model, { 1: 'known', 2: 'meanwhile', 3: 'still waits', 4: 'the schema is here' });
  assert.deepEqual(await halted(model), []);

  // The database is away before the wait can be reported; it is back first.
  const backAgain = await model.read.refuseConnections();
  way.mute();
  await send(at(0, third.upsert(5, 'newest')), at(1, first.upsert(2, 'at last', 'u')), ...third.remove(1).map((message) => at(0, message)));
  await eventually(
    async () => /making it known that \S+\/0 of model waits failed for now/.test(model.log()),
    (failed) => failed,
  );
  await backAgain();
  const [halt] = await eventually(
    () => halted(model),
    (found) => found.length === 1,
  );
  assert.deepEqual([halt?.partition, halt?.halted.code], [0, 'REGISTRY_UNREACHABLE']);
  assert.equal((await statuses(model))['1'], 'known');
  way.unmute();
  await untilStatuses(model, { 2: 'at last', 3: 'still waits', 4: 'the schema is here', 5: 'newest' });
  assert.deepEqual(await model.read.query('SELECT cause FROM model.parked_events'), []);
  await assertAppliedOnce(model.read, sent);
  void running;
});

test('an id that the registry does not know is parked with its cause and a readable key, later events of the row in any format wait, a retry drains', async () => {
  const registry = await testRegistry();
  const unlike = uniqueName('unknown');
  const known = await avroOrders(unlike);
  const [, value] = schemasOfOrders(unlike);
  // Registered, so that no other test is given its id; and hidden.
  const id = await registry.register(`${unlike}-more`, { schemaType: 'AVRO', schema: JSON.stringify({ ...value, doc: 'hidden' }) });
  const unknown = await avroOrders(unlike, { key: known.ids.key, value: id });
  await using hiding = await hidingRegistry(id);
  const { schemaRegistry } = hiding;
  await using model = await createReadModel({ partitions: 1, schemaRegistry });
  await using running = await model.start();
  await model.send('orders', [unknown.upsert(1, 'first'), known.upsert(2, 'other')]);
  await untilStatuses(model, { 2: 'other' });
  await model.send('orders', [known.upsert(1, 'second', 'u'), upsert('orders', order(1, 1, 'third'), 'u'), ...remove('orders', 2)]);
  await untilStatuses(model, {});
  const listed: { key: string; code: string; cause: string }[] = JSON.parse(await cdcReadModel(model.config, 'parked', 'list', '--json'));
  assert.deepEqual(
    listed.map(({ key, code }) => [key, code]),
    [
      ['{"id":1}', 'EVENT_UNDECODABLE'],
      ['{"id":1}', 'BEHIND'],
      ['{"id":1}', 'BEHIND'],
    ],
  );
  assert.match(
    listed[0]?.cause ?? '',
    new RegExp(`knows no schema .* topic ${model.topic('orders')}, partition 0, offset 0, schema id ${unknown.ids.value}`),
  );
  assert.match(await cdcReadModel(model.config, 'parked', 'list'), /\{"id":1\}/);

  hiding.show();
  assert.match(await cdcReadModel(model.config, 'parked', 'retry'), /Applied 3 events of 1 keys/);
  await untilStatuses(model, { 1: 'third' });
  void running;
});
