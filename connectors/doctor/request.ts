import { resolve } from 'node:path';
import type { ClientConfig } from 'pg';
import {
  CdcError,
  describeError,
  postgresClientConfig,
  type Credentials,
  type PipelineConfig,
  type PollerTableConfig,
} from '#pipeline/index.ts';
import { readConnectorFile, type ConnectorFile } from '../config-file.ts';
import { connectClient, type ConnectClient } from '../rest/client.ts';
import { finding, type Finding, type Strategy } from './finding.ts';

/** Everything that an examination needs to know. Nothing in it is open. */
export type DoctorRequest = {
  readonly strategies: readonly Strategy[];
  /** host:port and name of the database, for people. */
  readonly server: string;
  readonly database: string;
  readonly poller: { readonly login: ClientConfig; readonly role: string; readonly tables: readonly PollerTableConfig[] };
  readonly log: {
    readonly replicator: { readonly login: ClientConfig; readonly role: string } | undefined;
    readonly ownerRole: string | undefined;
    readonly connect: ConnectClient | undefined;
    readonly topicPrefix: string;
    readonly files: readonly ConnectorFile[];
    /** Files that cannot be read. */
    readonly findings: readonly Finding[];
  };
};

/**
 * What pipeline.yaml asks to examine. `wanted` undefined: whatever it configures.
 *
 * @throws CdcError CONFIG_INVALID when a wanted strategy is not configured, or none is
 */
export async function doctorRequest(
  config: PipelineConfig,
  configFolder: string,
  wanted: readonly Strategy[] | undefined,
): Promise<DoctorRequest> {
  const { legacyDb, poller, connect } = config;
  const configured: Strategy[] = [];
  if (poller !== undefined) configured.push('query');
  if (connect !== undefined) configured.push('log');
  const strategies = wanted ?? configured;
  const missing = strategies.find((strategy) => !configured.includes(strategy));
  if (missing !== undefined || strategies.length === 0) {
    const section = missing === 'query' ? 'poller' : missing === 'log' ? 'connect' : 'poller or connect';
    throw new CdcError('CONFIG_INVALID', `pipeline.yaml has no ${section} section: there is nothing to examine`, {
      remedy: 'Add it with its tables or connectors, or examine the other strategy (--strategy query|log).',
    });
  }
  const login = (credentials: Credentials): ClientConfig => postgresClientConfig(legacyDb, credentials, 'cdc doctor');
  const { roles } = legacyDb;
  const files = strategies.includes('log') ? await connectorFiles(connect?.connectors ?? [], configFolder) : { files: [], findings: [] };
  return {
    strategies,
    server: `${legacyDb.host}:${legacyDb.port}`,
    database: legacyDb.database,
    poller: {
      login: login(roles.poller),
      role: roles.poller.user,
      tables: strategies.includes('query') ? (poller?.tables ?? []) : [],
    },
    log: {
      replicator: roles.replicator === undefined ? undefined : { login: login(roles.replicator), role: roles.replicator.user },
      ownerRole: roles.owner?.user,
      connect: connect === undefined ? undefined : connectClient(connect),
      topicPrefix: connect?.topicPrefix ?? '',
      ...files,
    },
  };
}

async function connectorFiles(
  paths: readonly string[],
  folder: string,
): Promise<{ readonly files: readonly ConnectorFile[]; readonly findings: readonly Finding[] }> {
  const files: ConnectorFile[] = [];
  const findings: Finding[] = [];
  if (paths.length === 0) findings.push(finding('CONNECTOR_NONE', 'log', { kind: 'setting', name: 'connect.connectors' }, {}));
  for (const path of paths) {
    try {
      files.push(await readConnectorFile(resolve(folder, path)));
    } catch (error) {
      const detail = describeError(error).replaceAll(/\s+/g, ' ').replace(/\.$/, '');
      findings.push(finding('CONNECTOR_FILE_UNUSABLE', 'log', { kind: 'connector', name: path }, { detail }));
    }
  }
  return { files, findings };
}
