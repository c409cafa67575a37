import type { Advice } from './postgres/advice.ts';
import type { Finding, Severity } from './finding.ts';
import type { Report } from './report.ts';

const width = 100;

/** The report for a person: what concerns the whole server first, then table by table, then the advice. */
export function renderReport(report: Report): string {
  const { findings, advice, summary } = report;
  const tables = [...new Set(findings.flatMap(({ subject }) => subject.table ?? []))].toSorted();
  const sections = [
    `${report.database} at ${report.server}, for ${report.strategies.join(' and ')}-based capture`,
    ...section(
      'server, roles, Kafka Connect',
      findings.filter(({ subject }) => subject.table === undefined),
    ),
    ...tables.flatMap((table) =>
      section(
        table,
        findings.filter(({ subject }) => subject.table === table),
      ),
    ),
    ...(findings.length === 0 ? ['nothing found'] : []),
    ...(advice.length === 0 ? [] : [['advice', ...advice.map(renderAdvice)].join('\n')]),
    countText(summary),
  ];
  return sections.join('\n\n');
}

function section(title: string, findings: readonly Finding[]): readonly string[] {
  return findings.length === 0 ? [] : [[title, ...findings.map(renderFinding)].join('\n')];
}

function renderFinding({ severity, code, strategy, subject, cause, remedy, privilege, blastRadius }: Finding): string {
  const what = subject.name === subject.table ? '' : ` ${subject.name}`;
  return [
    `  ${severity.padEnd(7)} ${code}${what} (${strategy})`,
    wrap(cause, '', 10),
    wrap(blastRadius, 'effect  ', 10),
    remedyLines(remedy),
    wrap(privilege, 'who     ', 10),
  ].join('\n');
}

/** A statement stays on a line of its own, to be copied as it is: a name may have blanks in it. */
function remedyLines(remedy: string): string {
  const lines = remedy.split('\n');
  return lines
    .map((line, at) =>
      line.endsWith(';')
        ? `${' '.repeat(10)}${at === 0 ? 'remedy  ' : ' '.repeat(8)}${line}`
        : wrap(line, at === 0 ? 'remedy  ' : ' '.repeat(8), 10),
    )
    .join('\n');
}

function renderAdvice({ table, advice, reasons, before }: Advice): string {
  const lines = [`  ${table}: ${advice}`, ...reasons.map((reason) => wrap(reason, '- ', 4))];
  if (before.length > 0) lines.push(wrap(`first fix ${before.join(', ')}`, '- ', 4));
  return lines.join('\n');
}

function countText(summary: Report['summary']): string {
  const count = (severity: Severity, one: string, many: string): string => `${summary[severity]} ${summary[severity] === 1 ? one : many}`;
  return [
    count('error', 'error', 'errors'),
    count('warning', 'warning', 'warnings'),
    `${summary.unknown} unknown`,
    `${summary.info} info`,
  ].join(', ');
}

/** Words over several lines, the first with `label`, the others below its text. A long word stays whole, to be copied. */
function wrap(text: string, label: string, indent: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && longer.length > width - indent - label.length) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  lines.push(line);
  const margin = ' '.repeat(indent);
  return lines.map((one, at) => `${margin}${at === 0 ? label : ' '.repeat(label.length)}${one}`).join('\n');
}
