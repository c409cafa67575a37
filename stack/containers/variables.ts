import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CdcError } from '#pipeline/index.ts';
import { freePort, freePorts } from '../processes/ports.ts';
import type { StackAccess } from '../roles-and-variables.ts';
import { randomSecret, settingsFile, type StackPorts } from '../settings.ts';
import { exists, hasCode, writeSecretFile } from '../state/file.ts';

/** What docker-compose.yml asks for, by the names that it has there: drawn once and kept in `containers.env` of the stack's folder. */
export type ComposeVariables = Readonly<Record<string, string>>;

export function variablesFile(folder: string): string {
  return join(folder, 'containers.env');
}

/** Null where the folder keeps no stack of containers. */
export async function readVariables(folder: string): Promise<ComposeVariables | null> {
  try {
    const text = await readFile(variablesFile(folder), 'utf8');
    return Object.fromEntries([...text.matchAll(/^([A-Z_0-9]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/**
 * Those of an earlier start where there was one.
 *
 * @throws CdcError STACK_FOLDER_INVALID where the folder holds a stack of processes
 */
export async function variablesOf(folder: string, registry: boolean): Promise<ComposeVariables> {
  const known = await readVariables(folder);
  if (known === null) await refuseStackOfProcesses(folder);
  const kept = known ?? newVariables(await freePorts(1));
  const variables = {
    ...kept,
    // A stack that was made before Connect asked for a login draws it now.
    ...(kept['CONNECT_PASSWORD'] === undefined ? newLogin() : {}),
    // The profile is also what lets `down` see the registry.
    ...(registry && kept['SCHEMA_REGISTRY_PORT'] === undefined
      ? { SCHEMA_REGISTRY_PORT: String(await freePort()), COMPOSE_PROFILES: 'schema-registry' }
      : {}),
  };
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
  await writeSecretFile(variablesFile(folder), lines.join(''));
  return variables;
}

/** Ports and passwords of a new stack. */
export function newVariables(ports: StackPorts): ComposeVariables {
  return {
    LEGACY_DB_SUPERUSER_PASSWORD: randomSecret(),
    LEGACY_DB_OWNER_PASSWORD: randomSecret(),
    LEGACY_DB_APP_PASSWORD: randomSecret(),
    LEGACY_DB_POLLER_PASSWORD: randomSecret(),
    LEGACY_DB_REPLICATOR_PASSWORD: randomSecret(),
    READ_DB_SUPERUSER_PASSWORD: randomSecret(),
    READ_DB_PASSWORD: randomSecret(),
    QUERY_API_DB_PASSWORD: randomSecret(),
    ORDER_SERVICE_DB_PASSWORD: randomSecret(),
    ...newLogin(),
    LEGACY_DB_PORT: String(ports.legacy),
    READ_DB_PORT: String(ports.read),
    KAFKA_PORT: String(ports.kafka),
    CONNECT_PORT: String(ports.connect),
  };
}

/** The same as a stack of processes keeps them. */
export function accessOf(variables: ComposeVariables): StackAccess {
  const of = (name: string): string => variables[name] ?? '';
  const registry = variables['SCHEMA_REGISTRY_PORT'];
  return {
    ports: {
      legacy: Number(of('LEGACY_DB_PORT')),
      read: Number(of('READ_DB_PORT')),
      connect: Number(of('CONNECT_PORT')),
      registry: registry === undefined ? undefined : Number(registry),
    },
    passwords: {
      legacySuperuser: of('LEGACY_DB_SUPERUSER_PASSWORD'),
      readSuperuser: of('READ_DB_SUPERUSER_PASSWORD'),
      owner: of('LEGACY_DB_OWNER_PASSWORD'),
      application: of('LEGACY_DB_APP_PASSWORD'),
      poller: of('LEGACY_DB_POLLER_PASSWORD'),
      replicator: of('LEGACY_DB_REPLICATOR_PASSWORD'),
      readModel: of('READ_DB_PASSWORD'),
      queryApi: variables['QUERY_API_DB_PASSWORD'],
      orders: variables['ORDER_SERVICE_DB_PASSWORD'],
    },
    connectPassword: of('CONNECT_PASSWORD'),
  };
}

function newLogin(): ComposeVariables {
  return { CONNECT_USERNAME: 'cdc', CONNECT_PASSWORD: randomSecret() };
}

async function refuseStackOfProcesses(folder: string): Promise<void> {
  if (await exists(settingsFile(folder)))
    throw new CdcError('STACK_FOLDER_INVALID', `${folder} holds a stack of processes: reset it first, or name another folder.`);
}
