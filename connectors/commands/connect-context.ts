import { resolve } from 'node:path';
import {
  CdcError,
  mariadbConnectionOptions,
  postgresClientConfig,
  type CliContext,
  type ConnectConfig,
  type Credentials,
  type GuardConfig,
} from '#pipeline/index.ts';
import type { ClientConfig } from 'pg';
import type { MariadbSource, Source } from '../mariadb/mariadb-source.ts';
import { readConnectorFile, type ConnectorConfig, type ConnectorFile } from '../config-file.ts';
import { connectClient, type ConnectClient } from '../rest/client.ts';

export type JsonOption = { readonly json?: boolean };

/** The Connect section of pipeline.yaml. */
async function connectConfig(context: CliContext): Promise<ConnectConfig> {
  const { connect } = await context.config();
  if (connect !== undefined) return connect;
  throw new CdcError('CONFIG_INVALID', 'pipeline.yaml has no connect section', { remedy: 'Add connect: with url and connectors.' });
}

export async function clientOf(context: CliContext): Promise<ConnectClient> {
  return connectClient(await connectConfig(context));
}

/** Where the connector files of pipeline.yaml are. */
export async function connectorPaths(context: CliContext): Promise<readonly string[]> {
  return (await connectConfig(context)).connectors.map((file) => resolve(context.configFolder(), file));
}

/** The connector files of pipeline.yaml, or those that `names` name. */
export async function filesOf(context: CliContext, names: readonly string[] = []): Promise<readonly ConnectorFile[]> {
  const { topicPrefix } = await connectConfig(context);
  const files = await Promise.all((await connectorPaths(context)).map(readConnectorFile));
  const unknown = names.find((name) => !files.some((file) => file.name === name));
  if (unknown !== undefined) {
    const known = files.map(({ name }) => name).join(', ') || 'none';
    throw new CdcError('CONNECTOR_NOT_FOUND', `no connector file of pipeline.yaml is named ${unknown} (there are: ${known})`, {
      remedy: 'Name one of them, or add the file to connect.connectors.',
    });
  }
  for (const file of files) refuseOtherPrefix(file, topicPrefix);
  const chosen = names.length === 0 ? files : files.filter(({ name }) => names.includes(name));
  if (chosen.length > 0) return chosen;
  throw new CdcError('CONFIG_INVALID', 'connect.connectors in pipeline.yaml is empty', { remedy: 'List the connector files there.' });
}

/** connect.guard, defaults filled in. */
export async function guardPolicy(context: CliContext): Promise<GuardConfig> {
  return (await connectConfig(context)).guard;
}

/** Read models and the comparison go by connect.topicPrefix: a connector that writes elsewhere would feed nobody. */
function refuseOtherPrefix({ name, config }: ConnectorFile, topicPrefix: string): void {
  const prefix = config['topic.prefix'];
  if (prefix === undefined || prefix === topicPrefix) return;
  throw new CdcError(
    'CONNECTOR_CONFIG_INVALID',
    `connector ${name}: topic.prefix is ${prefix}, but connect.topicPrefix in pipeline.yaml is ${topicPrefix}`,
    { remedy: 'Make them the same; a running connector must keep its topic.prefix.' },
  );
}

/** The running settings of a connector. @throws CdcError CONNECTOR_NOT_FOUND */
export async function runningConfig(client: ConnectClient, name: string, signal: AbortSignal): Promise<ConnectorConfig> {
  const config = await client.config(name, signal);
  if (config === null) throw new CdcError('CONNECTOR_NOT_FOUND', `there is no connector ${name} at ${client.url}`);
  return config;
}

/** The replicator's login, where pipeline.yaml has one. */
export async function replicatorIfConfigured(context: CliContext): Promise<Source | undefined> {
  const { legacyDb } = await context.config();
  return legacyDb.roles.replicator === undefined ? undefined : replicatorOf(context);
}

/** How the replicator logs in to the legacy database, whatever its dialect. */
export async function replicatorOf(context: CliContext): Promise<Source> {
  const { legacyDb } = await context.config();
  if (legacyDb.dialect !== 'mariadb') return legacyRole(context, 'replicator');
  return mariadbRole(context, 'replicator');
}

/** How to log in to the legacy database in one duty, where it is a MariaDB. */
export async function mariadbRole(context: CliContext, duty: 'owner' | 'replicator'): Promise<MariadbSource> {
  const { database: _none, ...location } = (await context.config()).legacyDb;
  return { dialect: 'mariadb', connection: mariadbConnectionOptions(location, await credentialsOf(context, duty), 'cdc connectors') };
}

/** How to log in to the legacy database in one duty, where it is a Postgres. */
export async function legacyRole(context: CliContext, duty: 'owner' | 'replicator'): Promise<ClientConfig> {
  const { legacyDb } = await context.config();
  return postgresClientConfig(legacyDb, await credentialsOf(context, duty), 'cdc connectors');
}

async function credentialsOf(context: CliContext, duty: 'owner' | 'replicator'): Promise<Credentials> {
  const credentials = (await context.config()).legacyDb.roles[duty];
  if (credentials !== undefined) return credentials;
  throw new CdcError('LEGACY_ROLE_NOT_CONFIGURED', `legacyDb.roles.${duty} is not configured`);
}

export function toJson(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
