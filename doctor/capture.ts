import { parseTableId, type TableId } from '#change-events/index.ts';
import { describeError } from '#pipeline/index.ts';
import type { ConnectorFile } from '#connectors/config-file.ts';
import { dataTables } from '#connectors/postgres/table-list.ts';
import { finding, type Finding } from './finding.ts';

/** What a connector file asks of the source. Names that it leaves out are Debezium's defaults. */
export type Capture = {
  readonly file: ConnectorFile;
  readonly tables: readonly TableId[];
  readonly slot: string;
  readonly plugin: string;
  readonly publication: string;
  /** disabled, all_tables, filtered, no_tables. */
  readonly autocreate: string;
  /** Null: it has none, and `heartbeatProblem` says why. */
  readonly heartbeatTable: TableId | null;
  readonly heartbeatProblem: string | undefined;
  readonly signalTable: TableId | null;
};

const postgresConnector = 'io.debezium.connector.postgresql.PostgresConnector';

/** Reads the captures out of the files; what cannot be read from them is a finding. Pure. */
export function readCaptures(files: readonly ConnectorFile[]): {
  readonly captures: readonly Capture[];
  readonly findings: readonly Finding[];
} {
  const captures: Capture[] = [];
  const findings: Finding[] = [];
  for (const file of files) {
    const { name, config } = file;
    const subject = { kind: 'connector', name } as const;
    const type = config['connector.class'] ?? '';
    if (type !== postgresConnector) {
      findings.push(finding('CONNECTOR_NOT_POSTGRES', 'log', subject, { detail: type, connector: name }));
      continue;
    }
    const tables = tablesOf(file);
    if (typeof tables === 'string') findings.push(finding('TABLES_BY_PATTERN', 'log', subject, { detail: tables }));
    captures.push({
      file,
      tables: typeof tables === 'string' ? [] : tables,
      slot: config['slot.name'] ?? 'debezium',
      plugin: config['plugin.name'] ?? 'decoderbufs',
      publication: config['publication.name'] ?? 'dbz_publication',
      autocreate: config['publication.autocreate.mode'] ?? 'all_tables',
      ...heartbeatOf(config),
      signalTable: tableOf(config['signal.data.collection']),
    });
  }
  return { captures, findings };
}

/** The tables, or why they are not known. */
export function tablesOf({ name, config }: ConnectorFile): readonly TableId[] | string {
  try {
    return dataTables(name, config);
  } catch (error) {
    return describeError(error);
  }
}

export function heartbeatOf(config: ConnectorFile['config']): Pick<Capture, 'heartbeatTable' | 'heartbeatProblem'> {
  const interval = Number(config['heartbeat.interval.ms'] ?? '0');
  if (!(interval > 0)) return { heartbeatTable: null, heartbeatProblem: 'heartbeat.interval.ms is 0, or not set' };
  const query = config['heartbeat.action.query'];
  if (query === undefined) return { heartbeatTable: null, heartbeatProblem: 'heartbeat.action.query is not set' };
  const name = /^\s*(?:update|insert\s+into)\s+(?<name>[\w".`]+)/i.exec(query)?.groups?.['name']?.replaceAll(/["`]/g, '');
  const heartbeatTable = tableOf(name);
  return { heartbeatTable, heartbeatProblem: heartbeatTable === null ? `no schema.table in heartbeat.action.query` : undefined };
}

export function tableOf(name: string | undefined): TableId | null {
  if (name === undefined) return null;
  try {
    return parseTableId(name);
  } catch {
    return null;
  }
}
