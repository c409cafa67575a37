import { mariadbAccount } from '#pipeline/index.ts';
import { formatTableId, type TableId } from '#change-events/index.ts';
import { lossOf } from '#connectors/mariadb/lag.ts';
import { binlogPositionOf } from '#connectors/mariadb/position.ts';
import type { ConnectorFile } from '#connectors/config-file.ts';
import { snapshotState } from '#connectors/register/running.ts';
import { mariadbFinding, type Finding } from '../finding.ts';
import type { ConnectorFacts } from '../connect/probe-connect.ts';
import { ageText } from '#connectors/postgres/sql-names.ts';
import { holds, type Grants } from '#connectors/mariadb/grants.ts';
import type { MariadbServer } from './probe-server.ts';

/** Shorter than a weekend is reported. */
const keptSeconds = 3 * 86_400;

function setting(name: string): { kind: 'setting'; name: string } {
  return { kind: 'setting', name };
}

/** The settings that capture by the binlog needs. `captured` are the tables of all connector files. Pure. */
export function judgeLogServer(server: MariadbServer, place: string, captured: readonly TableId[]): readonly Finding[] {
  const { variable, filter } = server;
  if (variable('log_bin') !== 'ON') return [mariadbFinding('BINLOG_OFF', 'log', { kind: 'server', name: place }, {})];
  const findings: Finding[] = [];
  const format = variable('binlog_format');
  if (format !== 'ROW') findings.push(mariadbFinding('BINLOG_FORMAT', 'log', setting('binlog_format'), { value: format }));
  const image = variable('binlog_row_image');
  if (image !== 'FULL') findings.push(mariadbFinding('BINLOG_ROW_IMAGE', 'log', setting('binlog_row_image'), { value: image }));
  const expires = Number(variable('binlog_expire_logs_seconds'));
  if (expires > 0 && expires < keptSeconds) {
    findings.push(mariadbFinding('BINLOG_KEPT_BRIEFLY', 'log', setting('binlog_expire_logs_seconds'), { age: ageText(expires) }));
  }
  for (const database of new Set(captured.map(({ schema }) => schema))) {
    const isLeftOut = filter !== null && (filter.without.includes(database) || (filter.only.length > 0 && !filter.only.includes(database)));
    if (!isLeftOut) continue;
    const detail = filter.without.includes(database) ? 'binlog_ignore_db names it' : `binlog_do_db names ${filter.only.join(', ')} only`;
    findings.push(mariadbFinding('BINLOG_FILTERED', 'log', { kind: 'server', name: database }, { detail }));
  }
  return findings;
}

/** The rights of the connector's account on the whole server. Pure. */
export function judgeRights(grants: Grants, role: string, captured: readonly TableId[], locks: boolean): readonly Finding[] {
  const missing = (right: string, detail: string): Finding =>
    mariadbFinding(
      'GLOBAL_RIGHT_MISSING',
      'log',
      { kind: 'role', name: role },
      { right, detail, sqlAccount: mariadbAccount(grants.account) },
    );
  const findings: Finding[] = [];
  if (!holds(grants, 'REPLICATION SLAVE')) findings.push(missing('REPLICATION SLAVE', 'it may not read the binlog'));
  if (!holds(grants, 'BINLOG MONITOR')) findings.push(missing('BINLOG MONITOR', 'it may not ask for the position of the binlog'));
  const mayLock = holds(grants, 'RELOAD') || (captured.length > 0 && captured.every((id) => holds(grants, 'LOCK TABLES', id)));
  if (locks && !mayLock) findings.push(missing('RELOAD', 'it may not lock the tables for the instant in which its first snapshot begins'));
  return findings;
}

/** Whether a connector still has a snapshot before it, for which its settings want a lock. Pure. */
export function needsLock({ config }: ConnectorFile, facts: ConnectorFacts | undefined): boolean {
  if ((config['snapshot.locking.mode'] ?? 'minimal') === 'none') return false;
  return facts === undefined || facts.offsets === null || snapshotState(facts.offsets) !== 'streaming';
}

/** Can a connector go on from its position? Read its position **before** the binlog (judgeBinlogLoss). Pure. */
export function judgePosition(facts: ConnectorFacts, server: MariadbServer, account: string): readonly Finding[] {
  const { name, offsets } = facts;
  if (offsets === null || snapshotState(offsets) !== 'streaming') return [];
  const subject = { kind: 'connector', name } as const;
  const verdict = lossOf(binlogPositionOf(offsets), server.binlog);
  if (verdict.kind === 'lost') return [mariadbFinding('BINLOG_LOST', 'log', subject, { detail: verdict.text, connector: name })];
  if (verdict.kind !== 'unknown') return [];
  return [mariadbFinding('BINLOG_POSITION_UNKNOWN', 'log', subject, { detail: verdict.text, sqlAccount: mariadbAccount(account) })];
}

/**
 * What the files say against the server and against each other. `running` are the connectors that read the binlog by now: a reader with the number of one
 * of them is that connector. Pure.
 */
export function judgeFiles(files: readonly ConnectorFile[], server: MariadbServer, running: ReadonlySet<string>): readonly Finding[] {
  const ids = files.flatMap(({ name, config }) => {
    const id = config['database.server.id'];
    return id === undefined || id.includes('${') ? [] : [{ name, id }];
  });
  return files.flatMap(({ name, config }) => {
    const findings: Finding[] = [];
    const subject = { kind: 'connector', name } as const;
    const own = ids.find((one) => one.name === name)?.id;
    const twin = ids.find((one) => one.name !== name && one.id === own);
    const reader = running.has(name) ? undefined : server.readers.find(({ id }) => id === own);
    const other =
      own === server.variable('server_id')
        ? 'the server itself'
        : twin !== undefined
          ? `connector ${twin.name}`
          : reader !== undefined
            ? `a replica or connector that is connected (${reader.place})`
            : undefined;
    if (own !== undefined && other !== undefined) {
      findings.push(mariadbFinding('SERVER_ID_CLASH', 'log', subject, { value: own, other }));
    }
    const keys = Object.keys(config).filter((key) => key.startsWith('gtid.source.'));
    if (keys.length > 0 && server.variable('gtid_strict_mode') === 'OFF') {
      findings.push(mariadbFinding('GTID_STRICT_OFF', 'log', setting('gtid_strict_mode'), { connector: name, keys: keys.join(', ') }));
    }
    return findings;
  });
}

/** Tables of a file in databases that it leaves out. Patterns are not judged. Pure. */
export function judgeDatabases({ name, config }: ConnectorFile, tables: readonly TableId[]): readonly Finding[] {
  const list = config['database.include.list'];
  if (list === undefined || /[\\*+?^$()[\]{}|]/.test(list)) return [];
  const included = new Set(list.split(',').map((one) => one.trim()));
  return tables
    .filter(({ schema }) => !included.has(schema))
    .map((id) => {
      const table = formatTableId(id);
      return mariadbFinding(
        'DATABASE_NOT_INCLUDED',
        'log',
        { kind: 'table', name: table, table },
        { connector: name, database: id.schema },
      );
    });
}
