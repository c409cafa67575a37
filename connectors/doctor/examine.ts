import { formatTableId } from '#change-events/index.ts';
import { adviseTable, type Advice } from './advice.ts';
import { examineLog } from './examine-log.ts';
import { examinePolling, type Look } from './examine-polling.ts';
import { makeReport, type Report } from './report.ts';
import { examineMariadb } from './mariadb/examine.ts';
import type { DoctorRequest, MariadbRequest } from './request.ts';

export type ExamineOptions = {
  readonly signal?: AbortSignal;
  /** A transaction that has been open for this long is told of. Default 30. */
  readonly oldSeconds?: number;
  /** This host's clock in ms. Default Date.now. */
  readonly now?: () => number;
};

/** {@link ExamineOptions} with its defaults. */
export type Settings = Required<ExamineOptions>;

/**
 * One read-only pass over everything that the request names. Servers that do not answer and roles that may not look are findings, not
 * errors; it throws only when aborted.
 */
export async function examine(request: DoctorRequest | MariadbRequest, options: ExamineOptions = {}): Promise<Report> {
  const settings = { signal: new AbortController().signal, oldSeconds: 30, now: () => Date.now(), ...options };
  const { strategies, server, database } = request;
  if (request.dialect === 'mariadb') return makeReport({ server, database, strategies, ...(await examineMariadb(request, settings)) });
  const [query, log] = await Promise.all([
    strategies.includes('query') ? examinePolling(request, settings) : undefined,
    strategies.includes('log') ? examineLog(request, settings) : undefined,
  ]);
  const findings = [...(query?.findings ?? []), ...(log?.findings ?? [])];
  return makeReport({ server, database, strategies, findings, advice: adviceOf(findings, query, log) });
}

function adviceOf(findings: Report['findings'], query: Look | undefined, log: Look | undefined): readonly Advice[] {
  const server = query?.server ?? log?.server;
  if (server === undefined) return [];
  const tables = new Map([...(log?.tables ?? []), ...(query?.tables ?? [])].map((facts) => [formatTableId(facts.id), facts]));
  return [...tables.values()].flatMap((facts) => {
    const polled = query?.polled.find(({ id }) => formatTableId(id) === formatTableId(facts.id));
    return adviseTable({ facts, polled, server, findings, logExamined: log !== undefined }) ?? [];
  });
}
