import { formatTableId } from '#change-events/index.ts';
import { mariadbFinding, type Finding } from '../finding.ts';
import type { MariadbTable } from './probe-table.ts';

/** A connector's heartbeat and signal tables. Null: it names none; undefined: it could not be seen. */
export type Helpers = {
  readonly heartbeat: MariadbTable | null | undefined;
  readonly heartbeatProblem: string | undefined;
  readonly isHeartbeatEmpty: boolean;
  readonly signal: MariadbTable | null | undefined;
};

/** Can the connector beat its heartbeat, and hear signals? Pure. */
export function judgeHelpers(connector: string, { heartbeat, heartbeatProblem, isHeartbeatEmpty, signal }: Helpers): readonly Finding[] {
  const findings: Finding[] = [];
  if (heartbeat === null) {
    const detail = heartbeatProblem ?? 'no table';
    findings.push(mariadbFinding('HEARTBEAT_OFF', 'log', { kind: 'connector', name: connector }, { detail }));
  } else if (heartbeat !== undefined) {
    const problems = problemsOf(heartbeat, ['select', 'update']);
    if (isHeartbeatEmpty) problems.push('it is empty, so that the heartbeat updates nothing');
    if (problems.length > 0) findings.push(unusable('HEARTBEAT_TABLE_UNUSABLE', heartbeat, connector, problems));
  }
  if (signal !== null && signal !== undefined) {
    const problems = problemsOf(signal, ['insert']);
    if (problems.length > 0) findings.push(unusable('SIGNAL_TABLE_UNUSABLE', signal, connector, problems));
  }
  return findings;
}

function problemsOf(table: MariadbTable, needed: readonly string[]): string[] {
  if (table.state === 'missing') return ['it does not exist'];
  if (table.state === 'denied') return ['it does not exist, or the account has no right on it'];
  const held = new Set(table.found.columns.flatMap(({ rights }) => rights));
  const missing = needed.filter((right) => !held.has(right)).map((right) => right.toUpperCase());
  return missing.length === 0 ? [] : [`the account lacks ${missing.join(' and ')} on it`];
}

function unusable(
  code: 'HEARTBEAT_TABLE_UNUSABLE' | 'SIGNAL_TABLE_UNUSABLE',
  { id }: MariadbTable,
  connector: string,
  problems: readonly string[],
): Finding {
  const table = formatTableId(id);
  return mariadbFinding(code, 'log', { kind: 'table', name: table, table }, { connector, detail: problems.join(', ') });
}
