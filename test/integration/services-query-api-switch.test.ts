import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { silentLogger } from '#pipeline/index.ts';
import { dropVersions, rebuild } from '#read-model/rebuild/rebuild.ts';
import { readProjections } from '#read-model/views/projection-file.ts';
import { orderHistory } from '#test/support/order-history.ts';
import { openStream } from '#test/support/event-stream.ts';
import { orderView } from '#test/support/order-mirrors.ts';
import { createQueryApiScene, get } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';
import { repeat } from '#test/support/repeat.ts';

test('requests go on without an error while a rebuild fills, switches and drops versions, and never see the model go back', async () => {
  await using scene = await createQueryApiScene();
  const { model } = scene;
  await using running = await model.start();
  const history = orderHistory(7);
  for (const [table, messages] of history.next(300)) await model.send(table, messages);
  await model.caughtUp();
  const api = await scene.start();
  using stream = await openStream(`${api.url}/v1/orders?limit=5`);
  await stream.until((events) => events.at(-1)?.event === 'current');
  const failed: string[] = [];
  let asked = 0;
  let backwards = 0;
  const paths = ['/v1/orders?limit=5', '/v1/order_view?limit=5', '/v1/customers?limit=1', '/readyz', '/openapi.json'];
  const readers = paths.map((path) => {
    let last = 0n;
    return repeat(async () => {
      const { status, text, headers } = await get(api, path);
      asked += 1;
      if (status !== 200) failed.push(`${path}: ${status} ${text}`);
      const applied = (headers.get('position')?.match(/(?<==)\d+/g) ?? []).reduce((sum, offset) => sum + BigInt(offset), 0n);
      if (applied < last) backwards += 1;
      last = applied;
      // The servers share a machine with it.
      await delay(50);
    });
  });
  const writer = repeat(async () => {
    for (const [table, messages] of history.next(5)) await model.send(table, messages);
    await delay(250);
  });
  const options = { config: model.config, model: 'model', logger: silentLogger, signal: new AbortController().signal };
  for (let round = 0; round < 2; round += 1) {
    await rebuild(options, true);
    await dropVersions(options, 'previous');
  }
  const added = readProjections([{ file: 'added.sql', text: '-- key: id\nSELECT id, name FROM customers' }]);
  await rebuild({ ...options, projections: [...orderView, ...added] }, true);
  await writer.stop();
  for (const reader of readers) await reader.stop();
  assert.deepEqual({ failed, backwards }, { failed: [], backwards: 0 });
  assert.ok(asked > 50, `${asked} requests`);
  assert.equal(stream.ended, false);
  assert.match((await get(api, '/v1/added?limit=1')).text, /"name"/, 'a view that is new is served, with the rights that were promised');
  await running[Symbol.asyncDispose]();
});

test('a column and a table that the model gets are served without a restart, with the rights that the role was promised', async () => {
  await using scene = await createQueryApiScene();
  const { read } = scene.model;
  const api = await scene.start();
  await read.query(`INSERT INTO model.customers (id, name) VALUES (1, 'one')`);
  assert.doesNotMatch((await get(api, '/v1/customers/1')).text, /colour/);
  await read.query(
    `ALTER TABLE model.customers ADD COLUMN colour text DEFAULT 'red'; UPDATE model.mirrored_tables SET columns_version = columns_version + 1 WHERE mirror_table = 'customers'`,
  );
  await eventually(
    () => get(api, '/v1/customers/1'),
    ({ text }) => text.includes('"colour":"red"'),
  );
  await read.query(
    `ALTER TABLE model.customers DROP COLUMN colour; UPDATE model.mirrored_tables SET columns_version = columns_version + 1 WHERE mirror_table = 'customers'`,
  );
  assert.deepEqual((await get(api, '/v1/customers/1?fields=name')).text, '{"name":"one"}\n');
  assert.equal((await get(api, '/v1/later')).status, 404);
  await read.query(`CREATE TABLE model.later (id int PRIMARY KEY, _lsn bigint); INSERT INTO model.later VALUES (1);
    INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('later', 'public', 'later')`);
  assert.deepEqual((await get(api, '/v1/customers/1')).status, 200);
  assert.equal((await get(api, '/v1/later/1')).text, '{"id":1}\n');
});

test('no request is refused for what the model has got before it: a table, a column, a type', async () => {
  await using scene = await createQueryApiScene();
  const { read } = scene.model;
  const api = await scene.start();
  const changed = `UPDATE model.mirrored_tables SET columns_version = columns_version + 1 WHERE mirror_table =`;
  for (let round = 0; round < 10; round += 1) {
    const table = `later_${round}`;
    // Each question is asked just before the change as well: what the API knows is then as young as it can be, and wrong.
    const once = async (path: string, refused: number, change: string): Promise<void> => {
      assert.equal((await get(api, path)).status, refused, path);
      await read.query(change);
      const { status, text } = await get(api, path);
      assert.deepEqual({ status, text }, { status: 200, text }, path);
    };
    await once(
      `/v1/${table}?limit=1`,
      404,
      `CREATE TABLE model.${table} (id int PRIMARY KEY, code int, _lsn bigint); CREATE INDEX ON model.${table} (code); INSERT INTO model.${table} VALUES (1, 1);
       INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('${table}', 'public', '${table}')`,
    );
    await once(`/v1/${table}?fields=colour`, 400, `ALTER TABLE model.${table} ADD COLUMN colour text; ${changed} '${table}'`);
    await once(`/v1/${table}?code=3000000000`, 400, `ALTER TABLE model.${table} ALTER COLUMN code TYPE bigint; ${changed} '${table}'`);
    await once(`/v1/${table}?code=red`, 400, `ALTER TABLE model.${table} ALTER COLUMN code TYPE text; ${changed} '${table}'`);
  }
});
