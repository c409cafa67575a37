import type { Advice } from './postgres/advice.ts';
import type { Finding, Severity, Strategy } from './finding.ts';

/** The outcome of an examination; what `--json` prints. `format` changes when a field's meaning does. */
export type Report = {
  readonly format: 1;
  readonly server: string;
  readonly database: string;
  readonly strategies: readonly Strategy[];
  readonly findings: readonly Finding[];
  readonly advice: readonly Advice[];
  readonly summary: Readonly<Record<Severity, number>>;
};

const order = ['error', 'warning', 'unknown', 'info'] as const satisfies readonly Severity[];

/** Puts the findings in order, worst first, each once. */
export function makeReport(parts: Pick<Report, 'server' | 'database' | 'strategies' | 'findings' | 'advice'>): Report {
  const unique = [...new Map(parts.findings.map((one) => [`${one.strategy} ${one.code} ${one.subject.name} ${one.cause}`, one])).values()];
  const findings = unique.toSorted(
    (a, b) =>
      order.indexOf(a.severity) - order.indexOf(b.severity) ||
      compare(a.code, b.code) ||
      compare(a.subject.name, b.subject.name) ||
      compare(a.strategy, b.strategy),
  );
  const count = (severity: Severity): number => findings.filter((one) => one.severity === severity).length;
  return {
    format: 1,
    server: parts.server,
    database: parts.database,
    strategies: parts.strategies,
    findings,
    advice: parts.advice,
    summary: { error: count('error'), warning: count('warning'), unknown: count('unknown'), info: count('info') },
  };
}

/** 0: nothing worse than info. 1: an error. 2: no error, but a warning, or something that is not known. */
export function exitCodeOf({ summary }: Report): 0 | 1 | 2 {
  if (summary.error > 0) return 1;
  return summary.warning + summary.unknown > 0 ? 2 : 0;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
