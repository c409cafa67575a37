import type { Advice } from '../advice.ts';
import type { Finding, FindingCode } from '../finding.ts';

/** What makes a poll miss more than the window does, or keeps it from starting. */
const breaksPolling = new Set<FindingCode>([
  'COLUMN_UNKNOWN',
  'COLUMN_TYPE',
  'COLUMN_NULLABLE',
  'ORDER_NOT_UNIQUE',
  'KEY_MISSING',
  'IDS_NOT_ASCENDING',
  'TIMESTAMP_NOT_MOVED',
  'TIMESTAMP_TRIGGER_UNCLEAR',
  'TABLE_KIND',
]);

/**
 * Which strategy suits a table of a MariaDB: the log wherever it is ready, because a poll of it is best effort and sees no deletes, and the
 * sweep that would find them reads Postgres only. Pure.
 */
export function adviseMariadbTable(
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
