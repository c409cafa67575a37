import { isTablePattern, readColumns } from '#pipeline/index.ts';
import { formatTableId } from '#change-events/index.ts';
import { attemptsOf } from '../attempt.ts';
import type { Settings } from '../examine.ts';
import { mariadbFinding, type Finding } from '../finding.ts';
import { judgeClock } from '../judge/server.ts';
import { keysOf, namesOf, polledTables } from '../polled-tables.ts';
import type { Onlooker } from '../probe/session.ts';
import type { MariadbRequest } from '../request.ts';
import type { MariadbQuery } from '../../binlog/mariadb-source.ts';
import { readGrants } from '../../binlog/grants.ts';
import { judgePolledTable } from './judge-polled.ts';
import { judgeTable } from './judge-table.ts';
import { judgeOpenTransactions, readOpenTransactions } from './open-transactions.ts';
import { readMariadbClock, readMariadbServer } from './probe-server.ts';
import { readMariadbTable, readMariadbTableNames } from './probe-table.ts';
import { lookAt, probeFinding } from './session.ts';

/** What one account's look has brought, and the tables that it saw. */
export type MariadbLook = { readonly findings: readonly Finding[]; readonly tables: readonly string[] };

/** Examines a MariaDB for the query-based strategy, as the poller's account. */
export async function examineMariadbPolling(request: MariadbRequest, settings: Settings): Promise<MariadbLook> {
  const { login, role } = request.poller;
  const onlooker: Onlooker = { strategy: 'query', role, server: request.server, database: request.database };
  const looked = await lookAt(login, onlooker, (query) => look(query, request, onlooker, settings));
  return 'code' in looked ? { findings: [looked], tables: [] } : looked;
}

async function look(query: MariadbQuery, request: MariadbRequest, onlooker: Onlooker, settings: Settings): Promise<MariadbLook> {
  const { findings, see } = attemptsOf(onlooker, settings.signal, probeFinding);
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
  const polledOnes = polledTables(configured, names ?? []);
  const open = await see('open transactions', () => readOpenTransactions(query));
  findings.push(...judgeOpenTransactions(open ?? [], polledOnes));
  for (const polled of polledOnes) {
    const name = formatTableId(polled.id);
    if (polled.isQuery) {
      findings.push(mariadbFinding('POLLED_QUERY', 'query', { kind: 'table', name, table: name }, {}));
      continue;
    }
    const table = await see(`table ${name}`, () => readMariadbTable(query, polled.id));
    if (table === undefined) continue;
    const columns = table.state === 'found' ? readColumns(namesOf(table.found), keysOf(table.found), polled.config) : [];
    findings.push(...judgeTable(table, onlooker, grants?.account ?? onlooker.role, 'poller.tables', columns));
    if (table.state !== 'found') continue;
    tables.push(name);
    if (grants === undefined || server === undefined) continue;
    const zone = server.variable('time_zone');
    const context = {
      grants,
      zoneName: zone === 'SYSTEM' ? server.variable('system_time_zone') : zone,
      zoneOffsetSeconds: server.zoneOffsetSeconds,
      now: settings.now(),
    };
    findings.push(...judgePolledTable(polled.id, table.found, polled, context));
  }
  return { findings, tables };
}
