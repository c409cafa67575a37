import assert from 'node:assert/strict';
import { test } from 'node:test';
import { upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel } from '#test/support/read-model.ts';

test('a mirror that is called as every object has members is filled like any other, beside the views', { timeout: 180_000 }, async () => {
  await using model = await createReadModel();
  const names = ['constructor', 'toString'];
  await model.admin.ensureTopics(names.map((name) => ({ topic: model.topic(name), partitions: 1, replicationFactor: 1 })));
  for (const name of names) {
    await model.read.query(`CREATE TABLE model."${name}" (id bigint PRIMARY KEY, v text, _lsn bigint);
      INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('${name}', 'public', '${name}')`);
  }
  await using running = await model.start();
  for (const name of names) {
    await model.send(name, [upsert(name, { id: 1, v: 'one' })]);
    const rows = await eventually(
      () => model.read.query(`SELECT id, v FROM model."${name}"`),
      (found) => found.length > 0,
    );
    assert.deepEqual(rows, [{ id: '1', v: 'one' }], name);
  }
  await model.admin.deleteTopics(names.map((name) => model.topic(name)));
  void running;
});
