import { isTablePattern } from '#pipeline/index.ts';
import { formatTableId } from '#change-events/index.ts';
import { openJudge, unfitFinding } from '../poller-judge.ts';
import { attemptsOf } from '../attempt.ts';
import type { Settings } from '../request.ts';
import { finding, type Finding } from '../finding.ts';
import { judgePolledTable } from './judge/polled-table.ts';
import { judgeClock, judgeStandby } from './judge/server.ts';
import { columnMover } from './judge/timestamp-trigger.ts';
import { examineTopics } from '../topics/examine-topics.ts';
import { judgeFloor } from './judge/transactions.ts';
import { readClock, readServer, type ServerFacts } from './probe/server.ts';
import { connectionFinding, openDoctorSession, type DoctorSession, type Viewer } from './probe/session.ts';
import { readTable, readTableNames, type TableFacts } from './probe/tables.ts';
import { readTouchedColumn } from './probe/touched-column.ts';
import { polledTables, type PolledTable } from '../polled-tables.ts';
import type { DoctorRequest } from '../request.ts';
import { watchTransactions } from './probe/transactions.ts';

/** What was found as one role. */
export type Examination = {
  readonly findings: readonly Finding[];
  readonly server: ServerFacts | undefined;
  readonly tables: readonly TableFacts[];
  /** Of those tables, how they are to be polled. */
  readonly polled: readonly PolledTable[];
};

/** Examines the source for the query-based strategy, as the poller's role. */
export async function examinePolling(request: DoctorRequest, settings: Settings): Promise<Examination> {
  const { login, role } = request.poller;
  const viewer: Viewer = { strategy: 'query', role, server: request.server, database: request.database };
  let session: DoctorSession;
  try {
    session = await openDoctorSession(login, request.poller.legacyDb.pooler);
  } catch (error) {
    return { findings: [connectionFinding(error, viewer)], server: undefined, tables: [], polled: [] };
  }
  await using open = session;
  return await examineAsPoller(open, request, viewer, settings);
}

async function examineAsPoller(session: DoctorSession, request: DoctorRequest, viewer: Viewer, settings: Settings): Promise<Examination> {
  const attempts = attemptsOf(viewer, settings.signal);
  const { findings, see } = attempts;
  const watch = await see('open transactions', () => watchTransactions(session));
  const server = await see('the server', () => readServer(session));
  const clock = await see("the server's clock", () => readClock(session, settings.now));
  const tables: TableFacts[] = [];
  const polledOnes: PolledTable[] = [];
  /** A pattern's tables that are unfit want no topic. */
  const published: PolledTable[] = [];
  const configured = request.poller.tables;
  const isWide = configured.some(({ table }) => isTablePattern(table));
  const names = isWide ? await see('the names of tables', () => readTableNames(session)) : [];
  const wanted = polledTables(configured, names ?? []);
  const polledNames = wanted.map(({ id }) => formatTableId(id));
  await using judge = await openJudge(request.poller.legacyDb, attempts);
  for (const polled of wanted) {
    const { id, config } = polled;
    const name = formatTableId(id);
    // A pattern that takes nothing is no fault: a table may come.
    if (polled.takesNone) {
      findings.push(finding('PATTERN_TAKES_NONE', 'query', { kind: 'table', name: config.table, table: config.table }, {}));
      continue;
    }
    const judgement = judge === null ? undefined : await see(`table ${name}`, () => judge.judge({ ...config, table: name }));
    if (!isTablePattern(config.table) || (judgement?.findings ?? []).length === 0) published.push(polled);
    if (judgement === undefined) continue;
    findings.push(...judgement.findings.map((one) => unfitFinding(one, id, 'postgres')));
    if (polled.isQuery) {
      if (judgement.findings.length === 0) findings.push(finding('POLLED_QUERY', 'query', tableSubject(polled), {}));
      continue;
    }
    const facts = await see(`table ${name}`, () => readTable(session, id, request.log.ownerRole));
    if (facts === undefined) continue;
    tables.push(facts);
    polledOnes.push(polled);
    const [column] = polled.timestampColumns;
    // Only where it matters: the question waits for whoever has the table locked whole.
    const isUnmoved = column !== undefined && facts.found !== null && columnMover(facts.found, column).kind === 'unmoved';
    const touched = isUnmoved ? await see(`column ${name}.${column}`, () => readTouchedColumn(session, id, column)) : null;
    findings.push(...judgePolledTable(facts, polled, { judgement, touched: touched ?? null, polledNames }));
  }
  findings.push(...(await examineTopics(request.poller, published, settings, see, judge)));
  if (server !== undefined) findings.push(...judgeStandby(server, request.server, 'query'));
  if (clock !== undefined) findings.push(...judgeClock(clock, request.server));
  const transactions = watch === undefined ? undefined : await see('open transactions', () => watch.finish(settings.signal));
  if (transactions !== undefined) findings.push(...judgeFloor(transactions, viewer, settings.oldSeconds));
  return { findings, server, tables, polled: polledOnes };
}

function tableSubject({ id }: PolledTable): { kind: 'table'; name: string; table: string } {
  const table = formatTableId(id);
  return { kind: 'table', name: table, table };
}
