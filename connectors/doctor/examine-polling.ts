import { isTablePattern, readColumns } from '#pipeline/index.ts';
import { formatTableId } from '#change-events/index.ts';
import { attemptsOf } from './attempt.ts';
import type { Settings } from './examine.ts';
import { finding, type Finding } from './finding.ts';
import { judgePolledTable } from './judge/polled-table.ts';
import { judgeClock, judgeStandby } from './judge/server.ts';
import { judgeAccess } from './judge/table-access.ts';
import { judgeFloor } from './judge/transactions.ts';
import { readClock, readServer, type ServerFacts } from './probe/server.ts';
import { connectionFinding, openDoctorSession, type DoctorSession, type Onlooker } from './probe/session.ts';
import { readTable, readTableNames, type TableFacts } from './probe/tables.ts';
import { keysOf, namesOf, polledTables, type PolledTable } from './polled-tables.ts';
import type { DoctorRequest } from './request.ts';
import { watchTransactions } from './watch-transactions.ts';

/** What one role's look has brought. */
export type Look = {
  readonly findings: readonly Finding[];
  readonly server: ServerFacts | undefined;
  readonly tables: readonly TableFacts[];
  /** Of those tables, how they are to be polled. */
  readonly polled: readonly PolledTable[];
};

/** Examines the source for the query-based strategy, as the poller's role. */
export async function examinePolling(request: DoctorRequest, settings: Settings): Promise<Look> {
  const { login, role } = request.poller;
  const onlooker: Onlooker = { strategy: 'query', role, server: request.server, database: request.database };
  let session: DoctorSession;
  try {
    session = await openDoctorSession(login);
  } catch (error) {
    return { findings: [connectionFinding(error, onlooker)], server: undefined, tables: [], polled: [] };
  }
  await using open = session;
  return await look(open, request, onlooker, settings);
}

async function look(session: DoctorSession, request: DoctorRequest, onlooker: Onlooker, settings: Settings): Promise<Look> {
  const { findings, see } = attemptsOf(onlooker, settings.signal);
  const watch = await see('open transactions', () => watchTransactions(session));
  const server = await see('the server', () => readServer(session));
  const clock = await see("the server's clock", () => readClock(session, settings.now));
  const tables: TableFacts[] = [];
  const polledOnes: PolledTable[] = [];
  const configured = request.poller.tables;
  const isWide = configured.some(({ table }) => isTablePattern(table));
  const names = isWide ? await see('the names of tables', () => readTableNames(session)) : [];
  for (const polled of polledTables(configured, names ?? [])) {
    if (polled.isQuery) {
      findings.push(finding('POLLED_QUERY', 'query', tableSubject(polled), {}));
      continue;
    }
    const facts = await see(`table ${formatTableId(polled.id)}`, () => readTable(session, polled.id, request.log.ownerRole));
    if (facts === undefined) continue;
    tables.push(facts);
    polledOnes.push(polled);
    const columns = facts.found === null ? [] : readColumns(namesOf(facts.found), keysOf(facts.found), polled.config);
    findings.push(...judgeAccess(facts, onlooker, 'poller.tables', columns), ...judgePolledTable(facts, polled));
  }
  if (server !== undefined) findings.push(...judgeStandby(server, request.server, 'query'));
  if (clock !== undefined) findings.push(...judgeClock(clock, request.server));
  const transactions = watch === undefined ? undefined : await see('open transactions', () => watch.finish(settings.signal));
  if (transactions !== undefined) findings.push(...judgeFloor(transactions, onlooker, settings.oldSeconds));
  return { findings, server, tables, polled: polledOnes };
}

function tableSubject({ id }: PolledTable): { kind: 'table'; name: string; table: string } {
  const table = formatTableId(id);
  return { kind: 'table', name: table, table };
}
