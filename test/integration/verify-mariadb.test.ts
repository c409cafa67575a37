import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { pipelineSchema } from '#pipeline/index.ts';
import { createMariadbScene, whyNoMariadb } from '#test/support/mariadb.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel } from '#test/support/read-model.ts';
import { terminal, type Terminal } from '#test/support/terminal.ts';
import { verifyCommand } from '#verify/index.ts';

const stamped = 'updated_at timestamp(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3)';

/** Keys of several columns, of bytes and of times, and values that a mirror has in other types. */
const ddl = [
  `CREATE TABLE items (region varchar(20) COLLATE utf8mb4_bin, code varbinary(8), active boolean NOT NULL, amount decimal(12,4), born datetime(6),
     kind enum('x','y'), doc json, ratio double, ${stamped}, PRIMARY KEY (region, code), KEY (updated_at, region, code))`,
  `CREATE TABLE marks (at timestamp(6) NOT NULL PRIMARY KEY, note varchar(100) COLLATE utf8mb4_general_ci, ${stamped}, KEY (updated_at, at))`,
  `INSERT INTO items (region, code, active, amount, born, kind, doc, ratio)
     SELECT CONCAT(ELT(1 + seq % 4, 'a', 'A', 'ä ', 'z''\\\\?'), seq), UNHEX(HEX(seq)), seq % 2, seq / 3, '2026-01-02 03:04:05.100000', 'x', '{"b": 1, "a": 2}', seq / 7
       FROM seq_1_to_600`,
  "INSERT INTO marks (at, note) SELECT '2026-01-01 00:00:00.000001' + INTERVAL seq MINUTE, CONCAT('note ', seq) FROM seq_1_to_20",
];

const mirrors = (database: string): string => `
  CREATE TABLE model.items (region text, code bytea, active boolean, amount numeric, born timestamp, kind text, doc jsonb, ratio double precision,
    updated_at timestamptz, _lsn bigint, PRIMARY KEY (region, code));
  CREATE TABLE model.marks (at timestamptz PRIMARY KEY, note text, updated_at timestamptz, _lsn bigint);
  DELETE FROM model.mirrored_tables;
  INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('items', '${database}', 'items'), ('marks', '${database}', 'marks')`;

type Result = {
  readonly table: string;
  readonly outcome: string;
  readonly sourceRows: number;
  readonly missing: { readonly keys: readonly string[] };
  readonly stale: { readonly keys: readonly string[]; readonly columns: object };
  readonly ghost: { readonly keys: readonly string[] };
};

suite('source and mirrors on MariaDB', { skip: (await whyNoMariadb()) ?? false }, () => {
  test('equal in other types; what differs by hand is named, a deleted row is what a query leaves', async () => {
    await using scene = await createMariadbScene(ddl, {
      tables: ['items', 'marks'].map((table) => ({ table, mode: 'timestamp', overlapMs: 500 })),
      heartbeatMs: 300,
    });
    await using model = await createReadModel({ topics: false, prefix: scene.name });
    await model.read.query(mirrors(scene.database));
    const config = pipelineSchema.parse({ ...scene.config, readModel: model.config.readModel });
    const cdc: Terminal = terminal(verifyCommand, config);
    await using poller = startTestPoller(scene.config);
    await using running = await model.start();
    const results = async (): Promise<readonly Result[]> => JSON.parse((await cdc.run('--json', '--page-rows', '100')).printed).tables;

    const first = await results();
    assert.deepEqual(
      first.map(({ table, outcome, sourceRows }) => `${table.split('.')[1]} ${outcome} ${sourceRows}`),
      ['items equal 600', 'marks equal 20'],
    );

    await model.read.query(`UPDATE model.items SET active = NOT active, amount = amount + 1 WHERE region = 'A1'`);
    await model.read.query(`DELETE FROM model.items WHERE region = 'a20'`);
    await model.read.query(`DELETE FROM model.marks WHERE at = '2026-01-01 00:05:00.000001+00'`);
    await scene.query("DELETE FROM marks WHERE note = 'note 7'");
    const [items, marks] = await results();
    assert.deepEqual(
      [items?.outcome, items?.stale.keys, items?.stale.columns, items?.missing.keys],
      ['differs', ['{"region":"A1","code":"AQ=="}'], { active: 1, amount: 1 }, ['{"region":"a20","code":"FA=="}']],
    );
    assert.deepEqual(
      [marks?.outcome, marks?.missing.keys, marks?.ghost.keys],
      ['differs', ['2026-01-01T00:05:00.000001Z'], ['2026-01-01T00:07:00.000001Z']],
    );

    await scene.query("UPDATE items SET active = NOT active WHERE region IN ('A1', 'a20')");
    await scene.query("UPDATE marks SET note = 'again' WHERE note = 'note 5'");
    await eventually(results, (found) => found.every(({ outcome }) => outcome === 'equal'));
    await poller.stop();
    await running[Symbol.asyncDispose]();
  });
});
