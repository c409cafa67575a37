import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareState } from '#comparison/final-state/compare-state.ts';
import { readShapes } from '#comparison/source/catalogue.ts';
import { openSession } from '#comparison/source/session.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel } from '#test/support/read-model.ts';

const none = { count: 0, keys: [] };

test('TRUNCATE of one partition, published by its root, comes as no event: the rows that it leaves in the log’s mirror are ghosts, by key', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`
    CREATE TABLE public.pay (id bigint, region text, amount numeric NOT NULL, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
    CREATE TABLE public.pay_eu PARTITION OF public.pay FOR VALUES IN ('eu');
    CREATE TABLE public.pay_us PARTITION OF public.pay FOR VALUES IN ('us');
    INSERT INTO public.pay VALUES (1, 'eu', 1.50), (2, 'eu', 2.50), (3, 'us', 3.50), (4, 'us', 4.50)`);
  await using connector = await startTestConnector({ database, tables: ['public.pay'] });
  await using model = await createReadModel({ prefix: connector.prefix, topics: false });
  await model.read.query(`
    CREATE TABLE model.pay (id bigint, region text, amount numeric, _lsn bigint, PRIMARY KEY (region, id));
    DELETE FROM model.mirrored_tables;
    INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('pay', 'public', 'pay')`);
  await using running = await model.start();
  await connector.streaming();
  const mirrored = async (): Promise<string> => (await model.read.query('SELECT id FROM model.pay ORDER BY id')).map(({ id }) => id).join();
  await eventually(mirrored, (ids) => ids === '1,2,3,4', 120_000);
  await database.query('TRUNCATE public.pay_us');
  await database.query("INSERT INTO public.pay VALUES (5, 'eu', 5.50)");
  // What came after it has come.
  await eventually(mirrored, (ids) => ids.endsWith('5'), 120_000);
  void running;

  await using source = await openSession(database.owner, 'LEGACY_DB_UNREACHABLE');
  await using read = await openSession(model.read.owner, 'READ_DB_UNREACHABLE');
  const shapes = await readShapes(source, [{ schema: 'public', table: 'pay' }]);
  const { tables } = await compareState({ source, model: read, schema: 'model', shapes, listedKeys: 10 });
  const pay = tables['public.pay'];
  assert.ok(pay && 'value' in pay);
  assert.deepEqual(
    { ...pay.value, staleColumns: {} },
    {
      source: 3,
      model: 5,
      equal: 3,
      missing: none,
      ghost: { count: 2, keys: ['["us","3"]', '["us","4"]'] },
      stale: none,
      staleColumns: {},
    },
  );
});
