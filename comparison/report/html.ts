import { visibleLine } from '#pipeline/index.ts';
import type { ComparisonReport } from './report.ts';
import { sections, type Section } from './sections.ts';
import { claimLines, detailLines } from './words.ts';

const style = `
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222; background: #fff; }
  table { border-collapse: collapse; margin: 0.5rem 0 2rem; }
  th, td { border: 1px solid #ccc; padding: 0.25rem 0.6rem; text-align: right; }
  th:first-child, td:first-child { text-align: left; }
  @media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818; } th, td { border-color: #555; } }`;

/** The report as one page of HTML that needs nothing besides itself. */
export function renderHtml(report: ComparisonReport): string {
  const title = 'Query-based and log-based change data capture, measured side by side';
  const details = detailLines(report);
  return [
    '<!doctype html>',
    `<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${style}\n</style></head><body>`,
    `<h1>${title}</h1>`,
    `<p>From ${escapeText(report.startedAt)} until all had caught up at ${escapeText(report.caughtUpAt)}.</p>`,
    ...sections(report).map((section) => `<h2>${escapeText(section.title)}</h2>\n${table(section)}`),
    list('What this says', claimLines(report)),
    ...(details.length === 0 ? [] : [list('Keys', details)]),
    ...(report.notes.length === 0 ? [] : [list('Notes', report.notes)]),
    '</body></html>',
    '',
  ].join('\n');
}

function table({ head, rows }: Section): string {
  return `<table>\n<thead>${tableRow(head, 'th')}</thead>\n<tbody>\n${rows.map((row) => tableRow(row, 'td')).join('\n')}\n</tbody></table>`;
}

function tableRow(cells: readonly string[], tag: 'th' | 'td'): string {
  return `<tr>${cells.map((cell) => `<${tag}>${escapeText(cell)}</${tag}>`).join('')}</tr>`;
}

function list(title: string, lines: readonly string[]): string {
  return `<h2>${title}</h2>\n<ul>\n${lines.map((line) => `<li>${escapeText(line)}</li>`).join('\n')}\n</ul>`;
}

/** Keys, and messages of what could not be decoded, are other people's text. */
function escapeText(text: string): string {
  return visibleLine(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
