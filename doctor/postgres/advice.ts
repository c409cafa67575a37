import { formatTableId } from '#change-events/index.ts';
import type { Finding, FindingCode } from '../finding.ts';
import { columnMover } from './judge/timestamp-trigger.ts';
import type { ServerFacts } from './probe/server.ts';
import type { FoundTable, TableFacts } from './probe/tables.ts';
import type { PolledTable } from '../polled-tables.ts';

/** Which strategy suits a table. */
export type Advice = {
  readonly table: string;
  readonly advice: 'query' | 'query + sweep' | 'log';
  readonly reasons: readonly string[];
  /** Errors of the advised strategy that must be fixed first. */
  readonly before: readonly FindingCode[];
};

export type AdviceInput = {
  readonly facts: TableFacts;
  /** As poller.tables names it; undefined: it does not. */
  readonly polled: PolledTable | undefined;
  readonly server: ServerFacts;
  /** All findings of the examination. */
  readonly findings: readonly Finding[];
  readonly logExamined: boolean;
};

/** More updates per second, or per row and hour, than this: states between two polls are worth having. */
const hotPerSecond = 50;
const hotPerRowAndHour = 60;

/** Advice for one table, with the reasons; null for one that does not exist or is no table. Pure. */
export function adviseTable(input: AdviceInput): Advice | null {
  const { facts, findings, logExamined } = input;
  const { found } = facts;
  if (found === null || !['r', 'p'].includes(found.kind)) return null;
  const table = formatTableId(facts.id);
  const concerns = (one: Finding): boolean => one.subject.table === table || one.subject.table === undefined;
  const errors = findings.filter((one) => one.severity === 'error' && concerns(one));
  const queryErrors = codes(errors.filter(({ strategy }) => strategy === 'query'));
  const logErrors = codes(errors.filter(({ strategy }) => strategy === 'log'));
  const unreliable = unreliableColumns(input, found);
  const logObstacle = obstacleToLog(input, logErrors);
  const { deletes } = found.statistics;
  const hot = hotness(found, input.server);

  if (unreliable !== undefined) {
    const reasons = [`polling would miss changes: ${unreliable}`, ...(logObstacle === undefined ? [] : [logObstacle])];
    return { table, advice: 'log', reasons, before: logErrors };
  }
  const reasons = [
    input.polled?.mode === 'bulk' ? 'every poll reads the whole table' : 'nothing that commits escapes its tracking columns',
  ];
  if (logExamined && logErrors.length === 0 && (deletes > 0 || hot !== undefined)) {
    if (deletes > 0) reasons.push(`rows are deleted (${deletes} so far), which only the log shows at once`);
    if (hot !== undefined) reasons.push(`${hot}: states between two polls would be lost`);
    reasons.push('the log is ready for it');
    return { table, advice: 'log', reasons, before: [] };
  }
  if (logObstacle !== undefined) reasons.push(logObstacle);
  if (hot !== undefined) reasons.push(`${hot}: states between two polls are lost`);
  if (deletes === 0) {
    return { table, advice: 'query', reasons: [...reasons, 'no deletes were seen, and SELECT is all that it needs'], before: queryErrors };
  }
  if (!found.indexes.some(({ primary }) => primary)) {
    reasons.push(`rows are deleted (${deletes} so far), and without a primary key a sweep cannot find out which`);
    return { table, advice: 'log', reasons, before: logErrors };
  }
  reasons.push(`rows are deleted (${deletes} so far): a sweep of the keys finds them, later`);
  return { table, advice: 'query + sweep', reasons, before: queryErrors };
}

function codes(findings: readonly Finding[]): readonly FindingCode[] {
  return [...new Set(findings.map(({ code }) => code))].toSorted();
}

const breaksPolling = new Set<FindingCode>([
  'SOURCE_IS_STANDBY',
  'TABLE_KIND',
  'COLUMN_UNKNOWN',
  'COLUMN_TYPE_UNFIT',
  'COLUMN_NULLABLE',
  'KEY_UNFIT',
  'SEQUENCE_UNFIT',
  'TABLE_INHERITED',
  'NO_FENCE',
  'UPDATES_INVISIBLE',
  'TIMESTAMP_NOT_MOVED',
  'TIMESTAMP_TRIGGER_UNCLEAR',
]);

/** Why the table cannot be polled exactly; undefined when it can. Of a table that is not polled, its columns are looked through. */
function unreliableColumns({ facts, polled, findings }: AdviceInput, found: FoundTable): string | undefined {
  if (polled === undefined) {
    return hasUsableColumns(found)
      ? undefined
      : 'it has no timestamp that the database moves at every update, with a unique integer beside it';
  }
  const table = formatTableId(facts.id);
  const reason = findings.find(
    ({ code, strategy, subject }) =>
      strategy === 'query' && breaksPolling.has(code) && (subject.table === undefined || subject.table === table),
  );
  return reason?.cause.replace(/\.$/, '');
}

function hasUsableColumns(found: FoundTable): boolean {
  const time = found.columns.some(
    ({ name, type, notNull }) => notNull && /^timestamp.* with time zone$/.test(type) && columnMover(found, name).kind === 'moved',
  );
  const ids = new Set(
    found.columns.filter(({ type, notNull }) => notNull && /^(?:bigint|integer|smallint)$/.test(type)).map(({ name }) => name),
  );
  return (
    time && found.indexes.some(({ unique, partial, columns }) => unique && !partial && columns.length === 1 && ids.has(columns[0] ?? ''))
  );
}

function obstacleToLog({ server, logExamined }: AdviceInput, logErrors: readonly FindingCode[]): string | undefined {
  if (logErrors.length > 0) return `the log is not ready: ${logErrors.join(', ')}`;
  if (server.walLevel !== 'logical') return `the log is not available: wal_level is ${server.walLevel}`;
  return logExamined ? undefined : 'whether the log can be read was not examined';
}

function hotness({ statistics }: FoundTable, { statisticsSeconds }: ServerFacts): string | undefined {
  const { updates, rows } = statistics;
  // Too short a time says nothing about a usual hour.
  if (statisticsSeconds < 60) return undefined;
  const perSecond = updates / statisticsSeconds;
  const perRowAndHour = (perSecond * 3600) / Math.max(rows, 1);
  if (perSecond < hotPerSecond && perRowAndHour < hotPerRowAndHour) return undefined;
  return perSecond >= hotPerSecond
    ? `about ${Math.round(perSecond)} updates per second`
    : `each row is updated about ${Math.round(perRowAndHour)} times an hour`;
}
