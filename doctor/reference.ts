import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wrapped } from '#pipeline/index.ts';
import { findingAreas } from './catalogue/catalogue.ts';
import type { FindingEntry } from './catalogue/entry.ts';
import { h2Areas } from './catalogue/h2.ts';
import { mariadbAreas } from './catalogue/mariadb.ts';

/** Where the reference of all findings is. */
export const findingsReferenceFile = join(import.meta.dirname, '..', 'docs', 'reference', 'findings.md');

const opening = `# Findings

Every finding that \`cdc doctor\` can report. How to run doctor and read its report: [doctor.md](../doctor.md).
‹name› is filled in with the particulars of the case.

Generated from \`doctor/catalogue/\` by \`npm run docs:doctor\`. A test fails when it is out of date.
`;

const scopes = { query: 'query-based', log: 'log-based', either: 'both strategies' } as const;

/** docs/reference/findings.md: the findings as Markdown, by area, in the order of the catalogue. */
export function findingsReference(): string {
  const areas = Object.entries({ ...findingAreas, ...mariadbAreas, ...h2Areas }).map(
    ([title, entries]) => `\n## ${title}\n${Object.entries(entries).map(describe).join('')}`,
  );
  return opening + areas.join('');
}

function describe([code, { scope, severity, cause, remedy, privilege, blastRadius }]: [string, FindingEntry]): string {
  const lines = [
    `- Severity: ${severity} (${scopes[scope]})`,
    `- Cause: ${plain(cause)}`,
    `- If nothing is done: ${plain(blastRadius)}`,
    `- Remedy: ${plain(remedy)}`,
    `- Who can: ${plain(privilege)}`,
  ];
  return `\n### ${code}\n\n${lines.map((line) => wrapped(line, '  ')).join('\n')}\n`;
}

/** A particular of the case shows as ‹name›, which Markdown leaves alone. */
function plain(text: string): string {
  return text.replaceAll(/(?<!\$)\{(?<name>\w+)\}/g, (_whole, name: string) => `‹${name}›`);
}

if (import.meta.main) writeFileSync(findingsReferenceFile, findingsReference());
