import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { polledTables } from '#cdc-poller/index.ts';
import { legacyTables, runWorkload } from '#legacy-db/index.ts';
import { CdcError, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { startReadModel, wantedMirrors, type RunningReadModel } from '#read-model/index.ts';
import { verifyCommand } from '#verify/index.ts';
import { bothStrategiesConfig, models } from '#test/support/both-strategies.ts';
import { capturedMirrors } from '#test/support/captured-mirrors.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { deleteTopicsOf, testKafkaConfig } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { migrateOrders } from '#test/support/order-mirrors.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { createReadDatabase, type ReadDatabase } from '#test/support/read-database.ts';
import { uniqueName } from '#test/support/stack.ts';
import { terminal, type Outcome } from '#test/support/terminal.ts';

/** A key of several columns, in collations whose order is not that of bytes, and values of types that both sides write in their own way. */
const oddTable = `
  CREATE TABLE public.odd (
    region text COLLATE "und-x-icu" NOT NULL, code char(4) NOT NULL, amount numeric, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    doc jsonb, bytes bytea, tags text[], span interval, secret text, spans interval[], born date, PRIMARY KEY (code, region));
  CREATE INDEX ON public.odd (at);
  GRANT SELECT ON public.odd TO cdc_poller, cdc_replicator;
  INSERT INTO public.odd (region, code, amount, doc, bytes, tags, span, secret, spans, born)
    SELECT r, c, 1.50, '{"b":1, "a":[1.0]}', '\\xdeadbeef', '{"a,b",NULL}', '1 mon 2 days 03:04:05.6', 'hidden', '{1 day}', '0044-03-15 BC'
      FROM unnest('{a,A,ä,Z,z,_,É,"q''uo?te","back\\\\slash","⟦0⟧"}'::text[]) AS r, unnest('{1,B,b,Ü}'::text[]) AS c;`;

type Found = {
  readonly equal: boolean;
  readonly tables: readonly {
    readonly table: string;
    readonly model: string;
    readonly outcome: string;
    readonly sourceRows: number;
    readonly ghost: { readonly count: number; readonly keys: readonly string[] };
    readonly missing: { readonly count: number; readonly keys: readonly string[] };
    readonly stale: { readonly keys: readonly string[]; readonly columns: Readonly<Record<string, number>> };
    readonly notComparable: { readonly count: number; readonly columns: Readonly<Record<string, number>> };
    readonly notCompared: readonly { readonly column: string; readonly why: string }[];
    readonly problem: { readonly code: string } | null;
  }[];
};

let database: LegacyDatabase;
let read: ReadDatabase;
let config: PipelineConfig;
let model: RunningReadModel;
const resources = new AsyncDisposableStack();

const verify = (...words: readonly string[]): Promise<Outcome> => terminal(verifyCommand, config).run(...words);

async function found(...words: readonly string[]): Promise<Found & { readonly exitCode: number }> {
  const { printed, exitCode } = await verify('--json', ...words);
  const parsed: Found = JSON.parse(printed);
  return { ...parsed, exitCode };
}

before(async () => {
  database = resources.use(await createLegacyDatabase({ seed: { customers: 100, products: 20, orders: 400, seed: 1 } }));
  read = resources.use(await createReadDatabase());
  await database.query(oddTable);
  const name = uniqueName('verify');
  resources.defer(() => deleteTopicsOf(name));
  const connector = resources.use(
    await startTestConnector({ database, tables: [...legacyTables, 'public.odd'], overrides: { 'heartbeat.interval.ms': '300' } }),
  );
  const tables = [
    ...legacyTables.map((table) => ({ table })),
    { table: 'public.odd', mode: 'timestamp', timestampColumn: 'at', excludeColumns: ['secret'] },
  ];
  const kafka = await testKafkaConfig();
  config = bothStrategiesConfig({ database, read, kafka, name, connectorPrefix: connector.prefix, poller: { heartbeatMs: 300, tables } });
  const captured = {
    query_model: wantedMirrors('query_model', undefined, await polledTables(config.legacyDb, config.poller ?? assert.fail())).mirrors,
    log_model: await capturedMirrors(config.legacyDb, [...legacyTables, 'public.odd']),
  };
  for (const schema of models) await migrateOrders(read.owner, schema, captured[schema]);
  resources.use(startTestPoller(config));
  model = await startReadModel({ config, logger: silentLogger, signal: new AbortController().signal });
  model.closed.catch(() => undefined);
});

after(async () => {
  await model[Symbol.asyncDispose]();
  await resources.disposeAsync();
});

/** Statements of both models. */
async function inModels(sql: (schema: string) => string): Promise<void> {
  for (const schema of models) await read.query(sql(schema));
}

async function idOf(which: 'min' | 'max', table: string): Promise<string> {
  const [row] = await database.query(`SELECT ${which}(id) AS id FROM public.${table}`);
  return row?.['id'] ?? '';
}

suite('source and mirrors', () => {
  test('while a workload runs, the log model is equal, and the query model but for deleted rows', async () => {
    await database.query('DELETE FROM public.order_items WHERE id = (SELECT max(id) FROM public.order_items)');
    const stop = new AbortController();
    const workload = runWorkload({ application: database.application, seconds: 600, rate: 30, writers: 4, signal: stop.signal });
    try {
      const { tables, exitCode } = await found('public.orders', 'public.order_items', 'public.odd');
      assert.deepEqual(
        tables.filter(({ outcome }) => outcome !== 'equal'),
        [],
      );
      assert.equal(exitCode, 0);
      assert.equal(tables.length, 6);
      assert.ok(tables.every(({ sourceRows }) => sourceRows >= 20));
      assert.ok(tables.every((one) => one.model === 'query_model' || one.ghost.count === 0));
    } finally {
      stop.abort();
      await workload;
    }
  });

  test('the deleted rows of a query are named and no difference; the poller’s own columns are left out by name', async () => {
    const gone = await idOf('min', 'order_items');
    await database.query('DELETE FROM public.order_items WHERE id = $1', [gone]);
    const { tables, exitCode } = await found('public.order_items', 'public.odd', '--model', 'query_model', '--keys', '10000');
    const [items, odd] = ['public.order_items', 'public.odd'].map((table) => tables.find((one) => one.table === table));
    assert.equal(exitCode, 0);
    assert.ok(items?.ghost.keys.includes(gone));
    assert.deepEqual(odd?.notCompared, [{ column: 'secret', why: 'left out by the poller' }]);
    assert.match(
      (await verify('public.order_items', '--model', 'query_model')).printed,
      /deletes are invisible to a query, so these are expected/,
    );
  });

  test('rows that were removed, changed or added in a mirror by hand are named, and no others; values only when asked for', async () => {
    const [first, last] = [await idOf('min', 'customers'), await idOf('max', 'customers')];
    await inModels((schema) => `DELETE FROM ${schema}.customers WHERE id = ${first}`);
    await inModels((schema) => `UPDATE ${schema}.customers SET name = 'by hand', tier = 'none' WHERE id = ${last}`);
    await inModels(
      (schema) =>
        `INSERT INTO ${schema}.customers SELECT 999999999, email, name, tier, credit_limit, created_at, updated_at FROM ${schema}.customers LIMIT 1`,
    );
    const { tables, exitCode } = await found('public.customers');
    assert.equal(exitCode, 1);
    for (const one of tables) {
      assert.deepEqual(
        { outcome: one.outcome, missing: one.missing.keys, stale: one.stale.keys, columns: one.stale.columns },
        { outcome: 'differs', missing: [first], stale: [last], columns: { name: 1, tier: 1 } },
      );
      assert.ok(one.ghost.keys.includes('999999999'));
    }
    const { printed } = await verify('public.customers', '--model', 'log_model');
    assert.match(printed, new RegExp(`^public\\.customers in log_model \\(log\\): DIFFERS: `));
    assert.match(printed, new RegExp(`\\n {2}${last}: name, tier$`, 'm'));
    assert.ok(!printed.includes('by hand'));
    const shown = await verify('public.customers', '--model', 'log_model', '--values');
    assert.match(shown.printed, /"by hand" in the mirror/);
    await database.query('UPDATE public.customers SET updated_at = clock_timestamp()');
    await inModels((schema) => `DELETE FROM ${schema}.customers WHERE id = 999999999`);
    assert.equal((await found('public.customers')).exitCode, 0, 'what the source says again is applied again');
  });

  test('values that Debezium loses are not comparable, which is no difference; beside them other columns are', async () => {
    const [odd] = (await found('public.odd', '--model', 'log_model')).tables;
    assert.deepEqual([odd?.outcome, odd?.notComparable.count, odd?.notComparable.columns], ['equal', 40, { spans: 40, born: 40 }]);
    const { printed, exitCode } = await verify('public.odd', '--model', 'log_model', '--keys', '1');
    assert.equal(exitCode, 0);
    assert.match(
      printed,
      /equal: 40 rows of the source, 40 of the mirror; 40 not comparable\n {2}not comparable \(.*\): .* and 39 more; spans in 40 rows, born in 40 rows/,
    );
    await read.query("UPDATE log_model.odd SET amount = 7 WHERE region = 'Z' AND code = 'Ü   '");
    const [other] = (await found('public.odd', '--model', 'log_model')).tables;
    assert.deepEqual([other?.outcome, other?.stale.columns, other?.notComparable.count], ['differs', { amount: 1 }, 39]);
    const [query] = (await found('public.odd', '--model', 'query_model')).tables;
    assert.equal(query?.notComparable.count, 0, 'a query carries them');
    await read.query("UPDATE log_model.odd SET amount = 1.5 WHERE region = 'Z' AND code = 'Ü   '");
  });

  test('keys of several columns, in any collation and with any sign, are found on both sides', async () => {
    assert.deepEqual(
      (await found('public.odd')).tables.map(({ outcome, sourceRows }) => `${outcome} ${sourceRows}`),
      ['equal 40', 'equal 40'],
    );
    await inModels((schema) => `DELETE FROM ${schema}.odd WHERE region = '⟦0⟧' AND code = 'b   '`);
    await inModels((schema) => `UPDATE ${schema}.odd SET doc = '{"a":[1.0],"b":2}' WHERE region = 'A' AND code = 'Ü   '`);
    await inModels(
      (schema) => String.raw`UPDATE ${schema}.odd SET region = E'back\\slash2' WHERE region = E'back\\slash' AND code = 'B   '`,
    );
    for (const one of (await found('public.odd')).tables) {
      assert.deepEqual(
        [one.missing.keys.toSorted(), one.stale.keys, one.ghost.keys],
        [
          [String.raw`{"code":"B   ","region":"back\\slash"}`, '{"code":"b   ","region":"⟦0⟧"}'],
          ['{"code":"Ü   ","region":"A"}'],
          [String.raw`{"code":"B   ","region":"back\\slash2"}`],
        ],
      );
    }
  });

  test('a table that no model mirrors is refused by name; one that cannot be read does not keep the others', async () => {
    await assert.rejects(
      verify('public.nothing'),
      (error) => error instanceof CdcError && error.code === 'VERIFY_NO_MIRROR' && error.message.includes('public.orders'),
    );
    await inModels(
      (schema) =>
        `CREATE TABLE ${schema}.gone (id int PRIMARY KEY, _lsn bigint); INSERT INTO ${schema}.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('gone', 'public', 'gone')`,
    );
    const { tables, exitCode } = await found('public.gone', 'public.orders', '--model', 'log_model');
    assert.deepEqual(tables.map(({ outcome, problem }) => `${outcome} ${problem?.code}`).toSorted(), [
      'equal undefined',
      'failed TABLE_UNKNOWN',
    ]);
    assert.equal(exitCode, 78);
    await inModels((schema) => `DELETE FROM ${schema}.mirrored_tables WHERE mirror_table = 'gone'`);
  });

  test('where the poller’s role may not read, the replicator’s is asked', async () => {
    await database.query('REVOKE SELECT ON public.products FROM cdc_poller');
    try {
      assert.equal((await found('public.products', '--model', 'log_model')).exitCode, 0);
    } finally {
      await database.query('GRANT SELECT ON public.products TO cdc_poller');
    }
  });

  test('nothing but the first page is read when too much differs', async () => {
    await read.query('UPDATE log_model.order_items SET quantity = quantity + 1');
    const { tables, exitCode } = await found(
      'public.order_items',
      '--model',
      'log_model',
      '--max-differences',
      '5',
      '--keys',
      '3',
      '--page-rows',
      '100',
    );
    assert.equal(exitCode, 1);
    const [items] = tables;
    assert.equal(items?.stale.keys.length, 3);
    assert.ok(JSON.stringify(items).includes('"complete":false'), 'it says so');
    await read.query('UPDATE log_model.order_items SET quantity = quantity - 1');
    assert.equal((await found('public.order_items', '--model', 'log_model')).exitCode, 0);
  });

  test('a model that has stopped makes it inconclusive, with what the status says', async () => {
    await model[Symbol.asyncDispose]();
    await database.query(
      'UPDATE public.products SET name = name || $1, updated_at = clock_timestamp() WHERE id = (SELECT min(id) FROM public.products)',
      [' new'],
    );
    const { printed, exitCode } = await verify('public.products', '--model', 'log_model', '--timeout', '2');
    assert.equal(exitCode, 75);
    assert.match(printed, /INCONCLUSIVE: .*1 inconclusive/);
    assert.match(
      printed,
      /VERIFY_INCONCLUSIVE: nothing is known of \d+: log_model was not complete up to the moment of the comparison after 2 s: .*complete up to/,
    );
  });
});
