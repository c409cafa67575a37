import { formatTableId } from '#change-events/index.ts';
import { CdcError, describeError, isTablePattern } from '#pipeline/index.ts';
import { judgeOver, openAsPoller, unfitFinding, type Judge } from '../poller-judge.ts';
import { attemptsOf } from '../attempt.ts';
import { h2Finding, type Finding } from '../finding.ts';
import { polledTables, type PolledTable } from '../polled-tables.ts';
import type { Viewer } from '../postgres/probe/session.ts';
import type { H2Request, Settings } from '../request.ts';
import { examineTopics } from '../topics/examine-topics.ts';

/** Examines an H2 as the poller's user: whether it is let in, and what the poller's own judge says of each table. It has no log to examine. */
export async function examineH2(request: H2Request, settings: Settings): Promise<readonly Finding[]> {
  const { server, database, poller } = request;
  const viewer: Viewer = { strategy: 'query', role: poller.role, server, database };
  let opened: Judge;
  try {
    opened = judgeOver(await openAsPoller(poller.legacyDb));
  } catch (error) {
    return [connectionFinding(error, viewer)];
  }
  await using judge = opened;
  const { findings, see } = attemptsOf(viewer, settings.signal, probeFinding);
  const isWide = poller.tables.some(({ table }) => isTablePattern(table));
  const names = isWide ? await see('the names of tables', () => judge.tables()) : [];
  const polledOnes = polledTables(poller.tables, names ?? []);
  /** A pattern's tables that are unfit want no topic. */
  const published: PolledTable[] = [];
  for (const polled of polledOnes) {
    const { id, config, isQuery, takesNone } = polled;
    const table = formatTableId(id);
    if (takesNone) {
      findings.push(h2Finding('PATTERN_TAKES_NONE', 'query', { kind: 'table', name: config.table, table: config.table }, {}));
      continue;
    }
    const judgement = await see(`table ${table}`, () => judge.judge({ ...config, table }));
    if (!isTablePattern(config.table) || (judgement?.findings ?? []).length === 0) published.push(polled);
    if (judgement === undefined) continue;
    findings.push(...judgement.findings.map((one) => unfitFinding(one, id, 'h2')));
    const subject = { kind: 'table', name: table, table } as const;
    if (isQuery && judgement.findings.length === 0) findings.push(h2Finding('POLLED_QUERY', 'query', subject, {}));
    if (judgement.missingIndex === null) continue;
    const { columns, remedy } = judgement.missingIndex;
    findings.push(h2Finding('COLUMN_UNINDEXED', 'query', subject, { columns: columns.join(', '), createIndexStatements: remedy }));
  }
  findings.push(...(await examineTopics(poller, published, settings, see, judge)));
  return findings;
}

function connectionFinding(error: unknown, { role, server, database }: Viewer): Finding {
  if (!(error instanceof CdcError)) throw error;
  const detail = oneLine(error.message);
  const advice = error.remedy;
  if (error.code === 'LEGACY_LOGIN_REFUSED')
    return h2Finding('LEGACY_LOGIN_REFUSED', 'query', { kind: 'role', name: role }, { detail, advice });
  if (error.code === 'LEGACY_DB_MISSING')
    return h2Finding('LEGACY_DB_MISSING', 'query', { kind: 'server', name: database }, { detail, advice });
  if (error.code === 'LEGACY_DB_UNREACHABLE') {
    return h2Finding(
      'LEGACY_DB_UNREACHABLE',
      'query',
      { kind: 'server', name: server },
      { role, detail: oneLine(describeError(error.cause ?? error)) },
    );
  }
  throw error;
}

function probeFinding(error: unknown, subject: string, { role }: Viewer): Finding {
  return h2Finding('PROBE_REFUSED', 'query', { kind: 'server', name: subject }, { role, detail: oneLine(describeError(error)) });
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replace(/\.$/, '');
}
