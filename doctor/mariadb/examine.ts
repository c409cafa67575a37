import type { Advice } from '../postgres/advice.ts';
import type { Settings } from '../request.ts';
import type { Finding, FindingCode } from '../finding.ts';
import type { MariadbRequest } from '../request.ts';
import { examineMariadbLog } from './examine-log.ts';
import { examineMariadbPolling } from './examine-polling.ts';

/** One read-only pass over a MariaDB; as for a Postgres, what does not answer or may not be seen is a finding. */
export async function examineMariadb(
  request: MariadbRequest,
  settings: Settings,
): Promise<{ readonly findings: readonly Finding[]; readonly advice: readonly Advice[] }> {
  const { strategies } = request;
  const [query, log] = await Promise.all([
    strategies.includes('query') ? examineMariadbPolling(request, settings) : undefined,
    strategies.includes('log') ? examineMariadbLog(request, settings) : undefined,
  ]);
  const findings = [...(query?.findings ?? []), ...(log?.findings ?? [])];
  const tables = [...new Set([...(log?.tables ?? []), ...(query?.tables ?? [])])];
  const advice = tables.map((table) =>
    adviseMariadbTable(table, { findings, isPolled: query?.tables.includes(table) === true, logExamined: log !== undefined }),
  );
  return { findings, advice };
}

/** What makes a poll miss more than the window does, or keeps it from starting. */
const breaksPolling = new Set<FindingCode>([
  'COLUMN_UNKNOWN',
  'COLUMN_TYPE_UNFIT',
  'COLUMN_NULLABLE',
  'KEY_UNFIT',
  'SEQUENCE_UNFIT',
  'TIMESTAMP_NOT_MOVED',
  'TIMESTAMP_TRIGGER_UNCLEAR',
  'TABLE_KIND',
]);

/**
 * Which strategy suits a table of a MariaDB: the log wherever it is ready, because a poll of it is best effort and sees no deletes, and the
 * sweep that would find them reads Postgres only. Pure.
 */
function adviseMariadbTable(
  table: string,
  { findings, isPolled, logExamined }: { readonly findings: readonly Finding[]; readonly isPolled: boolean; readonly logExamined: boolean },
): Advice {
  const concerns = findings.filter(({ subject }) => subject.table === table || subject.table === undefined);
  const errors = (strategy: Finding['strategy']): readonly FindingCode[] =>
    [...new Set(concerns.filter((one) => one.severity === 'error' && one.strategy === strategy).map(({ code }) => code))].toSorted();
  const obstacle = concerns.find(({ code, strategy }) => strategy === 'query' && breaksPolling.has(code));
  const logErrors = errors('log');
  if (logExamined && logErrors.length === 0) {
    return {
      table,
      advice: 'log',
      reasons: ['it loses nothing and shows deletes; a poll of MariaDB is best effort', 'the log is ready for it'],
      before: [],
    };
  }
  const notReady = logExamined ? `the log is not ready: ${logErrors.join(', ')}` : 'whether the log can be read was not examined';
  if (obstacle !== undefined || !isPolled) {
    const why =
      obstacle === undefined ? 'poller.tables does not name it' : `polling would miss changes: ${obstacle.cause.replace(/\.$/, '')}`;
    return { table, advice: 'log', reasons: [why, notReady], before: logErrors };
  }
  const reasons = [
    notReady,
    'best effort: a row that commits later than overlapMs after its timestamp is lost (docs/mariadb.md)',
    'deletes are not seen; the sweep that finds them reads Postgres only',
  ];
  return { table, advice: 'query', reasons, before: errors('query') };
}
