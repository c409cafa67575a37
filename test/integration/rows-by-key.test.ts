import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { openTable, type ReadRow } from '#cdc-poller/rows.ts';
import { CdcError } from '#pipeline/index.ts';
import { databaseKinds } from '#test/support/database-kinds.ts';

const texts = (all: readonly ReadRow[]): readonly string[] => all.map((row) => JSON.stringify(row)).toSorted();

for (const { name, dialect, sql, why } of databaseKinds) {
  suite(`rows of a table, read once: ${name}`, { skip: why ?? false }, () => {
    const one = sql.name('Name? "odd`');
    const columns = `n int NOT NULL, ${one} varchar(40)${name === 'MariaDB' ? ' COLLATE utf8mb4_bin' : ''} NOT NULL, at ${sql.zoned} NOT NULL, bin ${sql.bytes} NOT NULL, note varchar(100)`;
    const values = (n: number): string =>
      `(${n}, '${["a''b", 'A?', String.raw`x\y`, '⟦0⟧', '$1'][n % 5] ?? ''}', timestamp '2026-01-02 03:04:05.000001', ${sql.hex(n.toString(16).padStart(4, '0'))}, 'note ${n}')`;

    test('pages give every row once, in pieces of any size; keys of several columns and of any sign find theirs', async () => {
      await using scene = await kindOf(name).open([
        `CREATE TABLE t (${columns}, PRIMARY KEY (n, ${one}, at, bin))`,
        `INSERT INTO t VALUES ${Array.from({ length: 40 }, (_, n) => values(n)).join(', ')}`,
      ]);
      await using session = await dialect.openSession(scene.config.legacyDb, 'rows', 60_000);
      const key = ['n', 'Name? "odd`', 'at', 'bin'];
      const table = await openTable(session, { table: { schema: scene.schema, table: 't' }, key, role: 'poller' });
      assert.deepEqual(
        table.columns.map((column) => column.name),
        [...key, 'note'],
      );
      const rows = table.rows(['note']);
      const found: ReadRow[] = [];
      for await (const page of rows.pages(7)) {
        assert.ok(page.length <= 7);
        found.push(...page);
      }
      assert.deepEqual(found.map((row) => row.values.join()).toSorted(), Array.from({ length: 40 }, (_, n) => `"note ${n}"`).toSorted());
      const wanted = found.filter((_, index) => index % 3 === 0);
      const again = await rows.byKeys([...wanted.map((row) => row.key), ['77', 'no', ...(wanted[0]?.key.slice(2) ?? [])]]);
      assert.deepEqual(texts(again), texts(wanted));
      assert.deepEqual(await rows.byKeys([]), []);
      assert.deepEqual(
        (await table.rows([]).byKeys(wanted.slice(0, 1).map((row) => row.key))).map((row) => row.values),
        [[]],
      );
    });

    test('a key that is not unique, a table that is none, are refused by code', async () => {
      await using scene = await kindOf(name).open([`CREATE TABLE t (id bigint PRIMARY KEY, other bigint NOT NULL)`]);
      await using session = await dialect.openSession(scene.config.legacyDb, 'rows', 60_000);
      const code = async (table: string, key: string): Promise<string> => {
        try {
          await openTable(session, { table: { schema: scene.schema, table }, key: [key], role: 'poller' });
          return 'none';
        } catch (error) {
          if (error instanceof CdcError) return error.code;
          throw error;
        }
      };
      assert.deepEqual(
        [await code('t', 'id'), await code('t', 'other'), await code('nothing', 'id')],
        ['none', 'KEY_UNFIT', 'TABLE_UNKNOWN'],
      );
    });
  });
}

function kindOf(name: string): (typeof databaseKinds)[number] {
  const kind = databaseKinds.find((one) => one.name === name);
  assert.ok(kind);
  return kind;
}
