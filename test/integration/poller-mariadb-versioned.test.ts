import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createMariadbScene, whyNoMariadb } from '#test/support/mariadb.ts';
import { valuesOf } from '#test/support/poller-scene.ts';
import { startTestPoller } from '#test/support/poller.ts';

const moved = 'updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6)';

suite('MariaDB', { skip: (await whyNoMariadb()) ?? false }, () => {
  test('tables WITH SYSTEM VERSIONING are polled as the tables they are, by name and by pattern: rows that stand, none of the past', async () => {
    const tables = ['plain', 'hidden', 'named', 'ids'];
    await using scene = await createMariadbScene(
      [
        `CREATE TABLE plain (id int PRIMARY KEY AUTO_INCREMENT, value text, ${moved}, KEY (updated_at, id))`,
        `CREATE TABLE hidden (id int PRIMARY KEY AUTO_INCREMENT, value text, ${moved}, KEY (updated_at, id)) WITH SYSTEM VERSIONING`,
        `CREATE TABLE named (id int PRIMARY KEY AUTO_INCREMENT, value text, ${moved},
          begun timestamp(6) GENERATED ALWAYS AS ROW START, ended timestamp(6) GENERATED ALWAYS AS ROW END,
          PERIOD FOR SYSTEM_TIME (begun, ended), KEY (updated_at, id)) WITH SYSTEM VERSIONING`,
        `CREATE TABLE ids (id int PRIMARY KEY AUTO_INCREMENT, value text) WITH SYSTEM VERSIONING`,
        'CREATE SEQUENCE numbers',
        ...tables.map((table) => `INSERT INTO ${table} (value) VALUES ('one'), ('two'), ('three')`),
        "UPDATE hidden SET value = 'second' WHERE id = 2",
        'DELETE FROM named WHERE id = 3',
      ],
      {
        pollIntervalMs: 20,
        tables: [{ table: 'hidden' }, { table: 'ids', mode: 'incrementing' }, { table: '*' }],
      },
    );
    await using _ = startTestPoller(scene.config);
    const shown = async (table: string, count: number): Promise<readonly string[]> =>
      valuesOf(await scene.until(table, (events) => events.length >= count, `${count} events`), 'value');
    assert.deepEqual((await shown('hidden', 3)).toSorted(), ['one', 'second', 'three']);
    assert.deepEqual((await shown('named', 2)).toSorted(), ['one', 'two']);
    assert.deepEqual((await shown('ids', 3)).toSorted(), ['one', 'three', 'two']);
    assert.equal((await shown('plain', 3)).length, 3);
    await scene.query("UPDATE hidden SET value = 'changed' WHERE id = 1");
    await scene.query("UPDATE named SET value = 'changed' WHERE id = 1");
    await scene.query("INSERT INTO ids (value) VALUES ('four')");
    assert.ok((await shown('hidden', 4)).includes('changed'));
    const events = await scene.until('named', ({ length }) => length >= 3, 'the update');
    assert.ok(
      events.every(({ key }) => /^\{"id":\d+\}$/.test(key)),
      'the end of a version is none of the key',
    );
    assert.ok((await shown('ids', 4)).includes('four'));
  });
});
