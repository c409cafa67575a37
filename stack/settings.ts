import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { CdcError, describeError } from '#pipeline/index.ts';
import { hasCode, writeSecretFile } from './state/file.ts';

const ports = z.object({
  legacy: z.number(),
  read: z.number(),
  kafka: z.number(),
  controller: z.number(),
  connect: z.number(),
  /** Of the second and third Kafka node, where there are three. */
  moreKafka: z.array(z.object({ kafka: z.number(), controller: z.number() })).default([]),
  /** Where there is a MariaDB. */
  mariadb: z.number().optional(),
  /** Where there is an H2. */
  h2: z.number().optional(),
  /** Where there is a schema registry. */
  registry: z.number().optional(),
  /** Where there is an identity provider: its own, and the gateway's, to which a login returns. */
  identityProvider: z.number().optional(),
  gateway: z.number().optional(),
});

/** What a stack keeps from one run to the next, in `<folder>/settings.json`: it belongs to the data and goes with `reset`. */
const settingsSchema = z.object({
  version: z.literal(1),
  /** Ports of the last run; taken again when they are free. */
  ports,
  /** Folder of both Postgres servers' data: in the state folder, or elsewhere where Postgres' user cannot enter that. */
  postgresFolder: z.string(),
  /** True when a crash of the machine may lose the data (fsync off). */
  throwaway: z.boolean(),
  /** How Kafka's JVM is run. */
  jvm: z.enum(['small', 'fast']).default('small'),
  kafkaClusterId: z.string(),
  passwords: z.object({
    legacySuperuser: z.string(),
    readSuperuser: z.string(),
    owner: z.string(),
    application: z.string(),
    poller: z.string(),
    replicator: z.string(),
    readModel: z.string(),
    /** Of the query API's role. A stack that was made without one draws it at its next start. */
    queryApi: z.string().default(randomSecret),
    /** Of the order service's, likewise. */
    orders: z.string().default(randomSecret),
  }),
  /** Of Connect's REST interface. A stack that was made without one draws it at its next start. */
  connectPassword: z.string().optional(),
  /** Where there is a MariaDB. */
  mariadbPasswords: z.object({ superuser: z.string(), owner: z.string(), poller: z.string(), replicator: z.string() }).optional(),
  /** Where there is an H2. */
  h2Passwords: z.object({ administrator: z.string(), owner: z.string(), poller: z.string() }).optional(),
  /** Where there is an identity provider: secrets of its clients, passwords of its users. */
  identityPasswords: z.object({ gateway: z.string(), program: z.string(), alice: z.string(), bob: z.string() }).optional(),
});

export type StackSettings = z.output<typeof settingsSchema>;
export type StackPorts = z.output<typeof ports>;

export function settingsFile(folder: string): string {
  return join(folder, 'settings.json');
}

/** The settings of the stack in `folder`, or null when there has been none. */
export async function readSettings(folder: string): Promise<StackSettings | null> {
  const file = settingsFile(folder);
  try {
    return settingsSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw new CdcError('STACK_FOLDER_INVALID', `${file} cannot be read as the settings of a stack: ${describeError(error)}.`, {
      cause: error,
    });
  }
}

export async function writeSettings(folder: string, settings: StackSettings): Promise<void> {
  await writeSecretFile(settingsFile(folder), `${JSON.stringify(settings, null, 2)}\n`);
}

/** Settings of a new stack: random passwords, a random cluster id. */
export function newSettings(choice: Pick<StackSettings, 'ports' | 'postgresFolder' | 'throwaway' | 'jvm'>): StackSettings {
  return {
    version: 1,
    ...choice,
    // Kafka reads an id as 16 bytes in base64url.
    kafkaClusterId: randomBytes(16).toString('base64url').replace(/^-/, 'a'),
    connectPassword: randomSecret(),
    passwords: {
      legacySuperuser: randomSecret(),
      readSuperuser: randomSecret(),
      owner: randomSecret(),
      application: randomSecret(),
      poller: randomSecret(),
      replicator: randomSecret(),
      readModel: randomSecret(),
      queryApi: randomSecret(),
      orders: randomSecret(),
    },
  };
}

/** The same settings with a MariaDB, whose passwords are drawn when it is first asked for. */
export function withMariadb(settings: StackSettings, port: number): StackSettings {
  const mariadbPasswords = { superuser: randomSecret(), owner: randomSecret(), poller: randomSecret(), replicator: randomSecret() };
  return { ...settings, ports: { ...settings.ports, mariadb: port }, mariadbPasswords };
}

/** The same settings with an H2, as with a MariaDB. */
export function withH2(settings: StackSettings, port: number): StackSettings {
  const h2Passwords = { administrator: randomSecret(), owner: randomSecret(), poller: randomSecret() };
  return { ...settings, ports: { ...settings.ports, h2: port }, h2Passwords };
}

/** The same settings with an identity provider. */
export function withIdentityProvider(settings: StackSettings, port: number, gateway: number): StackSettings {
  const identityPasswords = { gateway: randomSecret(), program: randomSecret(), alice: randomSecret(), bob: randomSecret() };
  return { ...settings, ports: { ...settings.ports, identityProvider: port, gateway }, identityPasswords };
}

/** The same settings with a login of Connect. */
export function withConnectLogin(settings: StackSettings): StackSettings {
  return settings.connectPassword === undefined ? { ...settings, connectPassword: randomSecret() } : settings;
}

/** The same settings with a schema registry. */
export function withRegistry(settings: StackSettings, port: number): StackSettings {
  return { ...settings, ports: { ...settings.ports, registry: port } };
}

export function randomSecret(): string {
  return randomBytes(18).toString('base64url');
}
