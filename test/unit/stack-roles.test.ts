import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import * as z from 'zod';
import { accessOf, newVariables } from '#stack/containers/variables.ts';
import {
  legacyDatabase,
  orderServiceRole,
  queryApiRole,
  readDatabase,
  stackState,
  workerVariables,
  type RolesAndDatabase,
  type StackAccess,
} from '#stack/roles-and-variables.ts';
import { newSettings, withRegistry } from '#stack/settings.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';

const ports = { legacy: 1, read: 2, kafka: 3, controller: 4, connect: 5, moreKafka: [] };
const settings = newSettings({ ports, postgresFolder: '/nowhere', throwaway: true, jvm: 'small' });
const processes: StackAccess = withRegistry(settings, 6);
const drawn = { ...newVariables(ports), SCHEMA_REGISTRY_PORT: '6' };
const containers = accessOf(drawn);
const parts = { connect: true, mariadb: false, h2: false, registry: true, identityProvider: false };
const state = (access: StackAccess): ReturnType<typeof stackState> => stackState(access, parts, 'kafka:1');

const composeFile = z.object({
  services: z.record(z.string(), z.object({ environment: z.record(z.string(), z.unknown()).optional() })),
});

/** The variables of a container about the servers of the stack, a password by its own name whether it comes as a file or not. */
async function composeVariables(service: string): Promise<readonly string[]> {
  const text = await readFile(join(repositoryRoot, 'docker-compose.yml'), 'utf8');
  const { services } = composeFile.parse(parse(text, { merge: true }));
  return Object.keys(services[service]?.environment ?? {})
    .map((name) => name.replace(/_FILE$/, ''))
    .filter((name) => /^(?:LEGACY|READ)_DB_|^KAFKA_BROKERS$|^CONNECT_(?:URL|USERNAME|PASSWORD)$|REGISTRY_URL$/.test(name));
}

test('a stack of processes and one of containers have the same roles, and give programs and workers variables of the same names', () => {
  const [one, other] = [state(processes), state(containers)];
  assert.deepEqual(Object.keys(other.environment), Object.keys(one.environment));
  assert.deepEqual(Object.keys(other), Object.keys(one));
  const users = ({ roles, readModel }: typeof one): readonly string[] => [...Object.values(roles), readModel].map(({ user }) => user);
  assert.deepEqual(users(other), users(one));
  assert.deepEqual(Object.keys(workerVariables(containers, parts, '')), Object.keys(workerVariables(processes, parts, '')));
});

test('what a stack of containers draws reaches its users under the same names, the superusers’ passwords too', () => {
  const { environment, legacyServer, readServer } = state(containers);
  const reached: Readonly<Record<string, string>> = {
    ...environment,
    LEGACY_DB_SUPERUSER_PASSWORD: legacyServer.superuser.password,
    READ_DB_SUPERUSER_PASSWORD: readServer.superuser.password,
    KAFKA_PORT: '3',
    CONNECT_PORT: new URL(environment['CONNECT_URL'] ?? '').port,
    SCHEMA_REGISTRY_PORT: new URL(environment['SCHEMA_REGISTRY_URL'] ?? '').port,
  };
  for (const [name, value] of Object.entries(drawn)) assert.equal(reached[name], value, name);
});

test('the worker of docker-compose.yml has variables of the same names as a worker that is a process', async () => {
  assert.deepEqual((await composeVariables('connect')).toSorted(), Object.keys(workerVariables(processes, parts, '')).toSorted());
});

for (const service of ['setup', 'poller', 'guard', 'read-model']) {
  test(`what ${service} of docker-compose.yml gets has names that a program on a stack gets too`, async () => {
    const names = await composeVariables(service);
    assert.notEqual(names.length, 0);
    const known = new Set(Object.keys(state(processes).environment));
    assert.deepEqual(
      names.filter((name) => !known.has(name)),
      [],
    );
  });
}

const { roles, readModel } = state(processes);
const scripts: readonly (readonly [script: string, made: RolesAndDatabase])[] = [
  ['legacy-roles.sh', legacyDatabase(roles, orderServiceRole(processes.passwords))],
  ['read-roles.sh', readDatabase(readModel, queryApiRole(processes.passwords))],
];
for (const [script, made] of scripts) {
  test(`containers/postgres/${script} makes the roles that the stack makes, with the same rights`, async () => {
    const text = await readFile(join(repositoryRoot, 'containers', 'postgres', script), 'utf8');
    const found = [...text.matchAll(/^CREATE ROLE (\w+) LOGIN(?: (CREATEDB|REPLICATION))? PASSWORD/gm)];
    assert.deepEqual(
      found.map(([, user, attributes]) => [user, attributes]),
      made.roles.map(({ user, attributes }) => [user, attributes]),
    );
    assert.match(text, new RegExp(`^CREATE DATABASE :"database" OWNER ${made.database.owner};$`, 'm'));
  });
}
