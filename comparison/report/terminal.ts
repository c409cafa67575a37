import Table from 'cli-table3';
import { claimLines, detailLines } from './words.ts';
import type { ComparisonReport } from './report.ts';
import { sections, type Section } from './sections.ts';

/** The report for a terminal of 120 columns, without colours. */
export function renderTerminal(report: ComparisonReport): string {
  const tables = sections(report).map((section) => `${section.title}\n${draw(section)}`);
  const details = detailLines(report);
  return [
    ...tables,
    ...(details.length === 0 ? [] : [['Keys', ...details.map((line) => wrap(line, 2))].join('\n')]),
    ['What this says', ...claimLines(report).map((line) => wrap(line, 2))].join('\n'),
    ...(report.notes.length === 0 ? [] : [['Notes', ...report.notes.map((line) => wrap(line, 2))].join('\n')]),
  ].join('\n\n');
}

function draw({ head, rows }: Section): string {
  const table = new Table({
    head: [...head],
    colAligns: head.map((_name, index) => (index === 0 || !isNumeric(rows, index) ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}

function isNumeric(rows: Section['rows'], index: number): boolean {
  return rows.some((row) => /^[\d.,–-]+$/.test(row[index] ?? ''));
}

const width = 116;

function wrap(text: string, indent: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > width) {
      lines.push(line);
      line = `  ${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => ' '.repeat(indent) + each).join('\n');
}
