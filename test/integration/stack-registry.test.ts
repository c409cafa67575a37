import assert from 'node:assert/strict';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { resetStack, stackStatus, startStack, stopStack, waitFor, type StackState } from '#stack/index.ts';
import { isAlive } from '../support/is-alive.ts';
import { askRegistry } from '../support/registry.ts';

const folder = await mkdtemp(join(tmpdir(), 'cdc-stack-registry-'));
const signal = AbortSignal.timeout(30 * 60_000);

after(async () => {
  await resetStack(folder);
  await rm(folder, { recursive: true, force: true });
});

const up = (registry: boolean): Promise<StackState> => startStack({ folder, connect: false, throwaway: true, registry, signal });

const schemas = [1, 2, 3].map((version) => {
  const fields = Array.from({ length: version }, (_, index) => ({ name: `field_${index}`, type: ['null', 'long'], default: null }));
  return JSON.stringify({ type: 'record', name: 'Value', namespace: 'kept', fields });
});

/** Ids in the order of the schemas: a schema that is registered already keeps its id. */
async function register({ schemaRegistry }: StackState): Promise<readonly unknown[]> {
  const ids: unknown[] = [];
  for (const schema of schemas) {
    ids.push((await askRegistry(schemaRegistry?.url, 'POST', 'subjects/kept-value/versions', { schema }))['id']);
  }
  return ids;
}

const level = async ({ schemaRegistry }: StackState): Promise<unknown> =>
  (await askRegistry(schemaRegistry?.url, 'GET', 'config/kept-value'))['compatibilityLevel'];

const schemaOf = async ({ schemaRegistry }: StackState, id: unknown): Promise<unknown> =>
  (await askRegistry(schemaRegistry?.url, 'GET', `schemas/ids/${String(id)}`))['schema'];

test('a schema registry comes to a stack that runs and keeps its ids through kill -9, stop and start; reset forgets them', async () => {
  const without = await up(false);
  assert.equal(without.schemaRegistry, undefined);
  const first = await up(true);
  for (const { name, pid } of without.processes) assert.equal(first.processes.find((record) => record.name === name)?.pid, pid, name);
  assert.equal(first.environment['SCHEMA_REGISTRY_URL'], first.schemaRegistry?.url);

  const ids = await register(first);
  assert.equal(new Set(ids).size, schemas.length);
  await askRegistry(first.schemaRegistry?.url, 'PUT', 'config/kept-value', { compatibility: 'FULL' });

  const pid = first.processes.find(({ name }) => name === 'schema-registry')?.pid ?? 0;
  process.kill(pid, 'SIGKILL');
  await waitFor(() => !isAlive(pid), { signal, timeoutMs: 10_000, describe: 'the end of the registry' });
  assert.equal((await stackStatus(folder)).processes.find(({ name }) => name === 'schema-registry')?.status, 'down');
  const afterKill = await up(false);
  assert.deepEqual(await Promise.all(ids.map((id) => schemaOf(afterKill, id))), schemas, 'what was registered last, too');
  assert.deepEqual(await register(afterKill), ids);
  assert.equal(await level(afterKill), 'FULL');

  await stopStack(folder);
  const again = await up(true);
  assert.equal((await stackStatus(folder)).processes.find(({ name }) => name === 'schema-registry')?.status, 'up');
  assert.deepEqual(await register(again), ids);
  assert.equal(await level(again), 'FULL');

  await resetStack(folder);
  await assert.rejects(access(folder), { code: 'ENOENT' });
});
