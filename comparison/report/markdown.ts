import { visibleLine } from '#pipeline/index.ts';
import type { ComparisonReport } from './report.ts';
import { sections, type Section } from './sections.ts';
import { claimLines, detailLines } from './words.ts';

/** The report as Markdown. */
export function renderMarkdown(report: ComparisonReport): string {
  const details = detailLines(report);
  return [
    '# Query-based and log-based change data capture, measured side by side',
    escapeText(`From ${report.startedAt} until all had caught up at ${report.caughtUpAt}.`),
    ...sections(report).map((section) => `## ${escapeText(section.title)}\n\n${table(section)}`),
    `## What this says\n\n${list(claimLines(report))}`,
    ...(details.length === 0 ? [] : [`## Keys\n\n${list(details)}`]),
    ...(report.notes.length === 0 ? [] : [`## Notes\n\n${list(report.notes)}`]),
    '',
  ].join('\n\n');
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `- ${escapeText(line)}`).join('\n');
}

function tableLine(cells: readonly string[]): string {
  return `| ${cells.map((cell) => escapeText(cell).replaceAll('|', '\\|')).join(' | ')} |`;
}

function table({ head, rows }: Section): string {
  return [tableLine(head), tableLine(head.map((_cell, index) => (index === 0 ? '---' : '---:'))), ...rows.map(tableLine)].join('\n');
}

/** Keys, and messages of what could not be decoded, are other people's text: no HTML, link, line or terminal's command may come of it. */
function escapeText(text: string): string {
  return visibleLine(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(/[[\]`]/g, '\\$&');
}
