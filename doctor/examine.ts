import type { ExamineOptions } from './request.ts';
import { formatTableId } from '#change-events/index.ts';
import { adviseTable, type Advice } from './postgres/advice.ts';
import { examineLog } from './postgres/examine-log.ts';
import { examinePolling, type Examination } from './postgres/examine-polling.ts';
import { makeReport, type Report } from './report.ts';
import { examineH2 } from './h2/examine.ts';
import { examineMariadb } from './mariadb/examine.ts';
import type { DoctorRequest, H2Request, MariadbRequest } from './request.ts';

/**
 * One read-only pass over everything that the request names. Servers that do not answer and roles that may not look are findings, not
 * errors; it throws only when aborted.
 */
export async function examine(request: DoctorRequest | MariadbRequest | H2Request, options: ExamineOptions = {}): Promise<Report> {
  const settings = { signal: new AbortController().signal, oldSeconds: 30, now: () => Date.now(), ...options };
  const { strategies, server, database } = request;
  if (request.dialect === 'h2')
    return makeReport({ server, database, strategies, findings: await examineH2(request, settings), advice: [] });
  if (request.dialect === 'mariadb') return makeReport({ server, database, strategies, ...(await examineMariadb(request, settings)) });
  const [query, log] = await Promise.all([
    strategies.includes('query') ? examinePolling(request, settings) : undefined,
    strategies.includes('log') ? examineLog(request, settings) : undefined,
  ]);
  const findings = [...(query?.findings ?? []), ...(log?.findings ?? [])];
  return makeReport({ server, database, strategies, findings, advice: adviceOf(findings, query, log) });
}

function adviceOf(findings: Report['findings'], query: Examination | undefined, log: Examination | undefined): readonly Advice[] {
  const server = query?.server ?? log?.server;
  if (server === undefined) return [];
  const tables = new Map([...(log?.tables ?? []), ...(query?.tables ?? [])].map((facts) => [formatTableId(facts.id), facts]));
  return [...tables.values()].flatMap((facts) => {
    const polled = query?.polled.find(({ id }) => formatTableId(id) === formatTableId(facts.id));
    return adviseTable({ facts, polled, server, findings, logExamined: log !== undefined }) ?? [];
  });
}
