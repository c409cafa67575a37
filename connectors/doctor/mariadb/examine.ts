import type { Advice } from '../advice.ts';
import type { Settings } from '../examine.ts';
import type { Finding } from '../finding.ts';
import type { MariadbRequest } from '../request.ts';
import { adviseMariadbTable } from './advice.ts';
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
