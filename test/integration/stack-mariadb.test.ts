import assert from 'node:assert/strict';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import { mariadbConnectionOptions } from '#pipeline/index.ts';
import { hasMariadb, resetStack, stackStatus, startStack, stopStack, type StackState } from '#stack/index.ts';

const folder = await mkdtemp(join(tmpdir(), 'cdc-stack-mariadb-'));
const signal = AbortSignal.timeout(30 * 60_000);

after(async () => {
  await resetStack(folder);
  await rm(folder, { recursive: true, force: true });
});

const up = (mariadb: boolean): Promise<StackState> => startStack({ folder, connect: false, throwaway: true, mariadb, signal });

/** Runs SQL on the stack's MariaDB and gives the first row's texts. */
async function query({ mariadb: server }: StackState, user: 'owner' | 'poller' | 'replicator', sql: string): Promise<readonly string[]> {
  assert.ok(server);
  const options = mariadbConnectionOptions({ host: server.host, port: server.port, database: 'legacy' }, server.roles[user], 'test');
  const connection = await createConnection(options);
  try {
    const [rows] = await connection.query(sql);
    const first: unknown = Array.isArray(rows) ? rows[0] : undefined;
    return Array.isArray(first) ? first.map(String) : [];
  } finally {
    await connection.end();
  }
}

test(
  'a MariaDB comes to a stack that runs, stays with it through stop and start, and goes with reset',
  { skip: !hasMariadb() },
  async () => {
    const without = await up(false);
    assert.equal(without.mariadb, undefined);
    const withIt = await up(true);
    for (const { name, pid } of without.processes) assert.equal(withIt.processes.find((record) => record.name === name)?.pid, pid, name);
    assert.equal((await stackStatus(folder)).processes.find(({ name }) => name === 'mariadb-legacy')?.status, 'up');
    assert.equal(withIt.environment['LEGACY_MARIADB_PORT'], String(withIt.mariadb?.port));

    const settings = await query(withIt, 'replicator', 'SELECT @@binlog_format, @@binlog_row_image, @@log_bin, @@bind_address');
    assert.deepEqual(settings, ['ROW', 'FULL', '1', '127.0.0.1']);
    await query(withIt, 'owner', 'CREATE TABLE kept (id int PRIMARY KEY)');
    await query(withIt, 'owner', 'INSERT INTO kept VALUES (7)');
    await assert.rejects(query(withIt, 'poller', 'INSERT INTO kept VALUES (8)'), { code: 'ER_TABLEACCESS_DENIED_ERROR' });
    await assert.rejects(query(withIt, 'replicator', 'DELETE FROM kept'), { code: 'ER_TABLEACCESS_DENIED_ERROR' });

    await stopStack(folder);
    assert.equal((await stackStatus(folder)).status, 'down');
    const again = await up(true);
    assert.deepEqual(await query(again, 'poller', 'SELECT id FROM kept'), ['7']);

    await resetStack(folder);
    await assert.rejects(access(folder), { code: 'ENOENT' });
  },
);
