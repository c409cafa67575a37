import { isTablePattern, readColumns } from '#pipeline/index.ts';
import { formatTableId } from '#change-events/index.ts';
import { openJudge, unfitFinding } from '../poller-judge.ts';
import { attemptsOf } from '../attempt.ts';
import type { Settings } from '../request.ts';
import { mariadbFinding, type Finding } from '../finding.ts';
import { judgeClock } from '../postgres/judge/server.ts';
import { keysOf, namesOf, polledTables, type PolledTable } from '../polled-tables.ts';
import type { Viewer } from '../postgres/probe/session.ts';
import type { MariadbRequest } from '../request.ts';
import type { MariadbQuery } from '#connectors/mariadb/mariadb-source.ts';
import { readGrants } from '#connectors/mariadb/grants.ts';
import { judgePolledTable } from './judge-polled.ts';
import { examineTopics } from '../topics/examine-topics.ts';
import { judgeZeroDates } from './judge-table.ts';
import { judgeOpenTransactions, readOpenTransactions } from './open-transactions.ts';
import { readMariadbClock, readMariadbServer } from './probe-server.ts';
import { readMariadbTable, readMariadbTableNames } from './probe-table.ts';
import { withSession, probeFinding } from './session.ts';

/** What was found as one account, and the tables that it could see. */
export type MariadbExamination = { readonly findings: readonly Finding[]; readonly tables: readonly string[] };

/** Examines a MariaDB for the query-based strategy, as the poller's account. */
export async function examineMariadbPolling(request: MariadbRequest, settings: Settings): Promise<MariadbExamination> {
  const { login, role } = request.poller;
  const viewer: Viewer = { strategy: 'query', role, server: request.server, database: request.database };
  const examined = await withSession(login, viewer, (query) => examineAsPoller(query, request, viewer, settings));
  return 'code' in examined ? { findings: [examined], tables: [] } : examined;
}

async function examineAsPoller(
  query: MariadbQuery,
  request: MariadbRequest,
  viewer: Viewer,
  settings: Settings,
): Promise<MariadbExamination> {
  const attempts = attemptsOf(viewer, settings.signal, probeFinding);
  const { findings, see } = attempts;
  const grants = await see('its own rights', () => readGrants(query));
  const server = await see('the server', () => readMariadbServer(query));
  const clock = await see("the server's clock", () => readMariadbClock(query, settings.now));
  if (clock !== undefined) findings.push(...judgeClock(clock, request.server));
  if (server?.replicaBy !== undefined) {
    const subject = { kind: 'server', name: request.server } as const;
    findings.push(mariadbFinding('SOURCE_IS_REPLICA', 'query', subject, { detail: server.replicaBy }));
  }
  const configured = request.poller.tables;
  const isWide = configured.some(({ table }) => isTablePattern(table));
  const names = isWide ? await see('the names of tables', () => readMariadbTableNames(query)) : [];
  const tables: string[] = [];
  /** A pattern's tables that are unfit want no topic. */
  const published: PolledTable[] = [];
  const polledOnes = polledTables(configured, names ?? []);
  const open = await see('open transactions', () => readOpenTransactions(query));
  findings.push(...judgeOpenTransactions(open ?? [], polledOnes));
  await using judge = await openJudge(request.poller.legacyDb, attempts);
  for (const polled of polledOnes) {
    const { id, config } = polled;
    const name = formatTableId(id);
    const subject = { kind: 'table', name, table: name } as const;
    // A pattern that takes nothing is no fault: a table may come.
    if (polled.takesNone) {
      findings.push(mariadbFinding('PATTERN_TAKES_NONE', 'query', { kind: 'table', name: config.table, table: config.table }, {}));
      continue;
    }
    const judgement = judge === null ? undefined : await see(`table ${name}`, () => judge.judge({ ...config, table: name }));
    if (!isTablePattern(config.table) || (judgement?.findings ?? []).length === 0) published.push(polled);
    if (judgement === undefined) continue;
    findings.push(...judgement.findings.map((one) => unfitFinding(one, id, 'mariadb')));
    if (polled.isQuery) {
      if (judgement.findings.length === 0) findings.push(mariadbFinding('POLLED_QUERY', 'query', subject, {}));
      continue;
    }
    const table = await see(`table ${name}`, () => readMariadbTable(query, id));
    if (table?.state !== 'found') continue;
    findings.push(...judgeZeroDates(id, table.found, 'query', readColumns(namesOf(table.found), keysOf(table.found), config)));
    tables.push(name);
    if (grants === undefined || server === undefined) continue;
    const zone = server.variable('time_zone');
    const context = {
      grants,
      missingIndex: judgement.missingIndex,
      zoneName: zone === 'SYSTEM' ? server.variable('system_time_zone') : zone,
      zoneOffsetSeconds: server.zoneOffsetSeconds,
      now: settings.now(),
    };
    findings.push(...judgePolledTable(polled.id, table.found, polled, context));
  }
  findings.push(...(await examineTopics(request.poller, published, settings, see, judge)));
  return { findings, tables };
}
