import { formatTableId, type TableId } from '#change-events/index.ts';
import { mariadbTable } from '#pipeline/index.ts';
import { readsBinlog } from '#connectors/mariadb/lag.ts';
import type { MariadbQuery } from '#connectors/mariadb/mariadb-source.ts';
import type { ConnectorFile } from '#connectors/config-file.ts';
import { attemptsOf } from '../attempt.ts';
import { heartbeatOf, tableOf, tablesOf } from '../capture.ts';
import type { Settings } from '../request.ts';
import { finding, mariadbFinding, type Finding } from '../finding.ts';
import { judgeConnect, judgeFile } from '../connect/judge-connector.ts';
import { judgeCapturedTopics } from '../connect/judge-topics.ts';
import { readConnect, type ConnectFacts } from '../connect/probe-connect.ts';
import type { Viewer } from '../postgres/probe/session.ts';
import type { MariadbRequest } from '../request.ts';
import { watchMovement } from '../connect/watch-movement.ts';
import type { MariadbExamination } from './examine-polling.ts';
import { readGrants } from '#connectors/mariadb/grants.ts';
import { judgeHelpers } from './judge-helpers.ts';
import { judgeDatabases, judgeFiles, judgeLogServer, judgePosition, judgeRights, needsLock } from './judge-log.ts';
import { judgeCapturedTable, judgeTable } from './judge-table.ts';
import { readMariadbHeartbeat, readMariadbServer } from './probe-server.ts';
import { readMariadbTable, type MariadbTable } from './probe-table.ts';
import { withSession, probeFinding } from './session.ts';

/** What a connector file asks of a MariaDB. */
type Capture = {
  readonly file: ConnectorFile;
  readonly tables: readonly TableId[];
  readonly heartbeat: ReturnType<typeof heartbeatOf>;
  readonly signalTable: TableId | null;
};

/** Examines a MariaDB and Connect for the log-based strategy, the MariaDB as the replicator's account. */
export async function examineMariadbLog(request: MariadbRequest, settings: Settings): Promise<MariadbExamination> {
  const { log, server: place, database } = request;
  const { captures, findings } = readCaptures(log.files);
  findings.push(...log.findings);
  for (const { file } of captures) findings.push(...judgeFile(file, { topicPrefix: log.topicPrefix, database, server: request.server }));
  findings.push(...judgeCapturedTopics(log.files));
  // Positions before the binlog: files are only ever removed.
  const connect = log.connect === undefined ? undefined : await readConnect(log.connect, log.files, settings.signal);
  if (connect !== undefined) findings.push(...judgeConnect(connect, log.files));
  const { replicator } = log;
  if (replicator === undefined) {
    findings.push(finding('ROLE_NOT_CONFIGURED', 'log', { kind: 'role', name: 'legacyDb.roles.replicator' }, { duty: 'replicator' }));
    return { findings, tables: [] };
  }
  const viewer: Viewer = { strategy: 'log', role: replicator.role, server: place, database };
  const examined = await withSession(replicator.login, viewer, (query) =>
    examineAsReplicator(query, { captures, connect, request, viewer, settings }),
  );
  if ('code' in examined) return { findings: [...findings, examined], tables: [] };
  return { findings: [...findings, ...examined.findings], tables: examined.tables };
}

function readCaptures(files: readonly ConnectorFile[]): { captures: readonly Capture[]; findings: Finding[] } {
  const captures: Capture[] = [];
  const findings: Finding[] = [];
  for (const file of files) {
    const { name, config } = file;
    const subject = { kind: 'connector', name } as const;
    if (!readsBinlog(config)) {
      const detail = config['connector.class'] ?? '';
      findings.push(mariadbFinding('CONNECTOR_NOT_MARIADB', 'log', subject, { detail, connector: name }));
      continue;
    }
    const tables = tablesOf(file);
    if (typeof tables === 'string') findings.push(mariadbFinding('TABLES_BY_PATTERN', 'log', subject, { detail: tables }));
    captures.push({
      file,
      tables: typeof tables === 'string' ? [] : tables,
      heartbeat: heartbeatOf(config),
      signalTable: tableOf(config['signal.data.collection']),
    });
  }
  return { captures, findings };
}

type Case = {
  readonly captures: readonly Capture[];
  readonly connect: ConnectFacts | undefined;
  readonly request: MariadbRequest;
  readonly viewer: Viewer;
  readonly settings: Settings;
};

async function examineAsReplicator(
  query: MariadbQuery,
  { captures, connect, request, viewer, settings }: Case,
): Promise<MariadbExamination> {
  const { findings, see } = attemptsOf(viewer, settings.signal, probeFinding);
  const grants = await see('its own rights', () => readGrants(query));
  const server = await see('the server', () => readMariadbServer(query));
  const account = grants?.account ?? viewer.role;
  const factsOf = (name: string) => (connect?.state === 'reachable' ? connect.connectors.find((one) => one.name === name) : undefined);
  const captured = captures.flatMap(({ tables }) => tables);
  if (server !== undefined) {
    findings.push(
      ...judgeLogServer(server, viewer.server, captured),
      ...judgeFiles(
        captures.map(({ file }) => file),
        server,
        new Set(
          captures.map(({ file }) => file.name).filter((name) => factsOf(name)?.status?.tasks.some(({ state }) => state === 'RUNNING')),
        ),
      ),
    );
    if (server.replicaBy !== undefined) {
      const subject = { kind: 'server', name: viewer.server } as const;
      findings.push(mariadbFinding('SOURCE_IS_REPLICA', 'log', subject, { detail: server.replicaBy }));
    }
  }
  if (grants !== undefined) {
    const locks = captures.some(({ file }) => needsLock(file, factsOf(file.name)));
    findings.push(...judgeRights(grants, viewer.role, captured, locks));
  }
  const seen: string[] = [];
  const read = (id: TableId): Promise<MariadbTable | undefined> => see(`table ${formatTableId(id)}`, () => readMariadbTable(query, id));
  for (const { file, tables, heartbeat, signalTable } of captures) {
    const facts = factsOf(file.name);
    if (facts !== undefined && server !== undefined) findings.push(...judgePosition(facts, server, account));
    for (const id of tables) {
      const table = await read(id);
      if (table === undefined) continue;
      if (table.state === 'found') seen.push(formatTableId(id));
      findings.push(...judgeTable(table, viewer, account, 'table.include.list'), ...judgeCapturedTable(table));
    }
    const { heartbeatTable, heartbeatProblem } = heartbeat;
    const helpers = [heartbeatTable, signalTable].filter((id) => id !== null);
    findings.push(...judgeDatabases(file, [...tables, ...helpers]));
    const beats = heartbeatTable === null ? null : await read(heartbeatTable);
    const signal = signalTable === null ? null : await read(signalTable);
    const isEmpty =
      beats?.state === 'found' && beats.readable
        ? await see(
            'rows of the heartbeat table',
            async () => (await query(`SELECT 1 FROM ${mariadbTable(beats.id)} LIMIT 1`)).length === 0,
          )
        : false;
    findings.push(...judgeHelpers(file.name, { heartbeat: beats, heartbeatProblem, isHeartbeatEmpty: isEmpty ?? false, signal }));
    const shows = beats?.state === 'found' && beats.readable && beats.found.columns.some(({ name: column }) => column === 'beat_at');
    const readable = shows ? beats.id : undefined;
    const movement = await watchMovement({
      connector: facts,
      client: request.log.connect,
      warnMs: request.log.warnHeartbeatMs,
      published: true,
      readState: () => see(`the heartbeat of ${file.name}`, () => readMariadbHeartbeat(query, readable)),
      signal: settings.signal,
    });
    findings.push(...movement);
  }
  return { findings, tables: seen };
}
