import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mariadb } from '#cdc-poller/mariadb/dialect.ts';
import { readColumnsHash, readColumnsHashAgain } from '#cdc-poller/mariadb/relation-state.ts';
import type { SourceSession, TextQuery } from '#cdc-poller/source/dialect.ts';
import { TableReshaped } from '#cdc-poller/source/table/table-reshaped.ts';
import { createMariadbScene, whyNoMariadb, type MariadbScene } from '#test/support/mariadb.ts';
import { uniqueName } from '#test/support/stack.ts';

const skip = (await whyNoMariadb()) ?? false;

describe('what MariaDB says of a table’s columns', { skip }, () => {
  test('a column that comes after a page was read, and before it is used, is not missed', async () => {
    await using scene = await sceneOf(['CREATE TABLE t (id bigint PRIMARY KEY, note text)', "INSERT INTO t VALUES (1, 'a')"]);
    await using session = await openSession(scene);
    let altered = false;
    const hash = await readColumnsHash(asking(session), idOf(scene, 't'), false);
    const rows = await session.page({
      text: `SELECT NULL, NULL, t.* FROM ${scene.database}.t`,
      values: [],
      async seen(query) {
        await scene.query('ALTER TABLE t ADD COLUMN more text');
        altered = true;
        return await readColumnsHashAgain(query, idOf(scene, 't'), hash);
      },
    });
    assert.ok(altered);
    assert.equal(rows[0]?.length, 4, 'the page was read before');
    assert.notEqual(rows[0]?.[1], hash);
  });

  test('no question about columns makes a temporary table, nor is one asked for a page without rows', async () => {
    await using scene = await sceneOf(['CREATE TABLE t (id bigint PRIMARY KEY, note text)']);
    await using session = await openSession(scene);
    const made = async (): Promise<string | null | undefined> =>
      (await session.query("SHOW SESSION STATUS LIKE 'Created_tmp_tables'"))[0]?.[1];
    const hash = await readColumnsHash(asking(session), idOf(scene, 't'), false);
    // SHOW STATUS makes one itself.
    const [before, after] = [await made(), await made()];
    await readColumnsHashAgain(asking(session), idOf(scene, 't'), hash);
    assert.equal(Number(await made()) - Number(after), Number(after) - Number(before));
    assert.deepEqual(await session.page({ text: `SELECT NULL, NULL, id FROM ${scene.database}.t`, values: [], seen: neverAsked }), []);
  });

  test('rows, ids, comments and partitions leave the hash alone; columns and keys change it', async () => {
    await using scene = await sceneOf(["CREATE TABLE t (id bigint AUTO_INCREMENT PRIMARY KEY, note text COMMENT 'x\n) AUTO_INCREMENT=5')"]);
    await using session = await openSession(scene);
    const hash = (): Promise<string> => readColumnsHash(asking(session), idOf(scene, 't'), false);
    const before = await hash();
    for (const statement of [
      "INSERT INTO t (note) VALUES ('a'), ('b')",
      'ALTER TABLE t AUTO_INCREMENT = 1000',
      "ALTER TABLE t COMMENT = 'another'",
      'ALTER TABLE t PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN MAXVALUE)',
    ]) {
      await scene.query(statement);
      assert.equal(await hash(), before, statement);
    }
    for (const statement of ['ALTER TABLE t MODIFY note varchar(9)', 'ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, note)']) {
      const was = await hash();
      await scene.query(statement);
      assert.notEqual(await hash(), was, statement);
    }
  });

  test('with rights on single columns, and of a view, information_schema is asked; a right that is taken away makes the table looked at again', async () => {
    await using scene = await sceneOf(['CREATE TABLE t (id bigint PRIMARY KEY, note text)', 'CREATE VIEW v AS SELECT id FROM t']);
    const user = uniqueName('column').slice(0, 30);
    await scene.asRoot(`CREATE USER ${user}@'%' IDENTIFIED BY 'pw'`);
    try {
      await scene.asRoot(`GRANT SELECT (id) ON ${scene.database}.t TO ${user}@'%'`);
      await scene.asRoot(`GRANT SELECT ON ${scene.database}.v TO ${user}@'%'`);
      await using session = await openSession(scene, { user, password: 'pw' });
      const [ofTable, ofView] = [
        await readColumnsHash(asking(session), idOf(scene, 't'), false),
        await readColumnsHash(asking(session), idOf(scene, 'v'), true),
      ];
      assert.deepEqual([ofTable[0], ofView[0]], ['i', 'i']);
      assert.equal(await readColumnsHashAgain(asking(session), idOf(scene, 't'), ofTable), ofTable);
      await assert.rejects(readColumnsHashAgain(asking(session), idOf(scene, 't'), 'd0'), TableReshaped);
      await scene.query('ALTER TABLE t MODIFY id int');
      assert.notEqual(await readColumnsHashAgain(asking(session), idOf(scene, 't'), ofTable), ofTable);
    } finally {
      await scene.asRoot(`DROP USER ${user}@'%'`);
    }
  });
});

function sceneOf(sql: readonly string[]): Promise<MariadbScene> {
  return createMariadbScene(sql, { tables: [{ table: 't', mode: 'bulk', pollIntervalMs: 60_000 }] });
}

function idOf({ database }: MariadbScene, table: string): { readonly schema: string; readonly table: string } {
  return { schema: database, table };
}

function neverAsked(): Promise<string> {
  assert.fail('asked');
}

function asking(session: SourceSession): TextQuery {
  return (text, values) => session.query(text, values);
}

function openSession(scene: MariadbScene, login = scene.config.legacyDb?.roles.poller): Promise<SourceSession> {
  const { legacyDb } = scene.config;
  assert.ok(legacyDb !== undefined && login !== undefined);
  return mariadb.openSession({ ...legacyDb, roles: { ...legacyDb.roles, poller: login } }, 'test', 10_000);
}
