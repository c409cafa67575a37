import assert from 'node:assert/strict';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Client } from 'pg';
import { postgresClientConfig } from '#pipeline/index.ts';
import { resetStack, stackStatus, startStack, stopStack, type StackState } from '#stack/index.ts';

const folder = await mkdtemp(join(tmpdir(), 'cdc-stack-h2-'));
const signal = AbortSignal.timeout(30 * 60_000);

after(async () => {
  await resetStack(folder);
  await rm(folder, { recursive: true, force: true });
});

const up = (h2: boolean): Promise<StackState> => startStack({ folder, connect: false, throwaway: true, h2, signal });

/** Runs SQL on the stack's H2 and gives the first row's texts. */
async function query({ h2: server }: StackState, user: 'owner' | 'poller', sql: string, database = 'legacy'): Promise<readonly string[]> {
  assert.ok(server);
  const client = new Client(postgresClientConfig({ host: server.host, port: server.port, database }, server.roles[user], 'test'));
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
    return (rows[0] ?? []).map(String);
  } finally {
    await client.end();
  }
}

test('an H2 comes to a stack that runs, stays with it through stop and start, and goes with reset', async () => {
  const without = await up(false);
  assert.equal(without.h2, undefined);
  const withIt = await up(true);
  for (const { name, pid } of without.processes) assert.equal(withIt.processes.find((record) => record.name === name)?.pid, pid, name);
  const status = (await stackStatus(folder)).processes.find(({ name }) => name === 'h2-legacy');
  assert.deepEqual([status?.status, status?.address], ['up', `127.0.0.1:${withIt.h2?.port}`]);
  assert.equal(withIt.environment['LEGACY_H2_PORT'], String(withIt.h2?.port));
  assert.equal(withIt.environment['LEGACY_H2_POLLER_PASSWORD'], withIt.h2?.roles.poller.password);

  await query(withIt, 'owner', 'CREATE TABLE "KEPT" (id integer PRIMARY KEY)');
  await query(withIt, 'owner', 'INSERT INTO "KEPT" VALUES (7)');
  await assert.rejects(query(withIt, 'poller', 'INSERT INTO "KEPT" VALUES (8)'), { code: '90096' });
  await assert.rejects(query(withIt, 'owner', 'SET MODE Oracle'), { code: '90040' });
  // Whoever made a database would be its administrator, who may run programs.
  await assert.rejects(query(withIt, 'owner', 'SELECT 1', 'another'), /terminated/);

  await stopStack(folder);
  assert.equal((await stackStatus(folder)).status, 'down');
  const again = await up(true);
  assert.deepEqual(await query(again, 'poller', 'SELECT id FROM "KEPT"'), ['7']);

  await resetStack(folder);
  await assert.rejects(access(folder), { code: 'ENOENT' });
});
