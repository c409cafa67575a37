import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { pipelineSchema } from '#pipeline/index.ts';
import { verifyCommand } from '#verify/index.ts';
import { createH2Scene, whyNoH2 } from '#test/support/h2.ts';
import { nowhere, reading } from '#test/support/mirror-scene.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { createReadDatabase, eventually } from '#test/support/read-database.ts';
import { readModelOf, terminal } from '#test/support/terminal.ts';

const stamped = 'updated_at timestamp(6) with time zone DEFAULT current_timestamp(6) NOT NULL';

/** Keys of several columns, of bytes, of times and of booleans, and what H2 writes otherwise than Postgres. */
const ddl = [
  `CREATE TABLE items (region varchar(20), code varbinary(8), flag boolean, amount decimal(12,4), born timestamp(6), on_day date, clock time(6), ratio double precision,
     kind enum('x', 'y'), token uuid, doc varchar(100), ${stamped}, PRIMARY KEY (region, code, flag))`,
  `CREATE TABLE marks (moment timestamp(6) with time zone PRIMARY KEY, note char(8), ${stamped})`,
  `INSERT INTO items (region, code, flag, amount, born, on_day, clock, ratio, kind, token, doc)
     SELECT 'a''\\?' || x, CAST(CAST(x AS varchar) AS varbinary(8)), MOD(x, 2) = 0, x / 3.0, TIMESTAMP '2026-01-02 03:04:05.1', DATE '2026-02-28', TIME '23:59:59.5', x / 7.0,
            'x', UUID '12345678-1234-1234-1234-123456789abc', 'Grüße ' || x FROM system_range(1, 600) AS r (x)`,
  `INSERT INTO marks (moment, note) SELECT DATEADD(MINUTE, x, TIMESTAMP WITH TIME ZONE '2026-01-01 02:00:00.000001+02:00'), 'n' || x FROM system_range(1, 20) AS r (x)`,
];

type Result = {
  readonly table: string;
  readonly outcome: string;
  readonly sourceRows: number;
  readonly missing: { readonly count: number; readonly keys: readonly string[] };
  readonly stale: { readonly count: number; readonly columns: object };
  readonly ghost: { readonly count: number };
};

const said = (found: readonly Result[]): readonly string[] =>
  found.map(({ table, outcome, sourceRows }) => `${table.split('.')[1]} ${outcome} ${sourceRows}`);

suite('source and mirrors on H2', { skip: (await whyNoH2()) ?? false }, () => {
  test('the rows of tables are compared and what differs is named, those of a query are named as not verified', async () => {
    await using scene = await createH2Scene(ddl, {
      heartbeatMs: 300,
      tables: [
        ...['items', 'marks'].map((table) => ({ table, mode: 'timestamp', overlapMs: 500 })),
        {
          table: 'chosen',
          query: `SELECT x AS id, TIMESTAMP WITH TIME ZONE '2026-01-01 00:00:00+00' AS updated_at FROM system_range(1, 7) AS r (x)`,
          key: ['id'],
          overlapMs: 500,
        },
      ],
    });
    await using read = await createReadDatabase();
    const config = pipelineSchema.parse({
      ...scene.config,
      readModel: { ...read.config, models: { m: { topicPrefix: scene.name, groupId: scene.name } } },
    });
    await terminal(readModelOf, config, nowhere).run('migrate');
    await using poller = startTestPoller(config);
    await using running = await reading(config);
    const cdc = terminal(verifyCommand, config);
    const results = async (): Promise<readonly Result[]> => {
      const parsed: { readonly tables: readonly Result[] } = JSON.parse((await cdc.run('--json', '--page-rows', '100')).printed);
      return parsed.tables.toSorted((a, b) => (a.table < b.table ? -1 : 1));
    };
    assert.deepEqual(said(await results()), ['chosen notVerified 0', 'items equal 600', 'marks equal 20']);

    await read.query(`UPDATE m.items SET amount = amount + 1, ratio = 7 WHERE region = 'a''\\?1'`);
    await read.query(`DELETE FROM m.items WHERE region = 'a''\\?20'`);
    await read.query(`DELETE FROM m.marks WHERE moment = '2026-01-01 00:05:00.000001+00'`);
    await scene.query("DELETE FROM marks WHERE note = 'n7'");
    const [, items, marks] = await results();
    assert.deepEqual([items?.outcome, items?.stale.columns, items?.missing.count], ['differs', { amount: 1, ratio: 1 }, 1]);
    assert.deepEqual([marks?.outcome, marks?.missing.keys, marks?.ghost.count], ['differs', ['2026-01-01T00:05:00.000001Z'], 1]);

    await scene.query('UPDATE items SET updated_at = current_timestamp(6); UPDATE marks SET updated_at = current_timestamp(6)');
    await eventually(results, (found) => found.every(({ outcome }) => outcome === 'equal' || outcome === 'notVerified'));
    const alone = await cdc.run(`${scene.schema}.chosen`);
    assert.match(alone.printed, /\.chosen in m \(query\): NOT VERIFIED: the poller publishes the rows of a query/);
    assert.equal(alone.exitCode, 75, 'that nothing was compared is no answer');
    assert.equal((await cdc.run()).exitCode, 0);
    void [poller, running];
  });
});
