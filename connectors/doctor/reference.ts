import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findingAreas } from './catalogue/catalogue.ts';
import type { FindingEntry } from './catalogue/entry.ts';
import { mariadbAreas } from './catalogue/mariadb.ts';

/** Where the reference of all findings is. Above this line of it a person writes, below it this program. */
export const doctorReferenceFile = join(import.meta.dirname, '..', '..', 'docs', 'doctor.md');
export const generatedFrom = '<!-- Below: generated from connectors/doctor/catalogue/ by `npm run docs:doctor`. -->';

const scopes = { query: 'query-based', log: 'log-based', either: 'both strategies' } as const;

/** The reference of findings as Markdown, by area, in the order of the catalogue. */
export function doctorReference(): string {
  const areas = Object.entries({ ...findingAreas, ...mariadbAreas }).map(
    ([title, entries]) => `\n## ${title}\n${Object.entries(entries).map(describe).join('')}`,
  );
  return `${generatedFrom}\n${areas.join('')}`;
}

function describe([code, { scope, severity, cause, remedy, privilege, blastRadius }]: [string, FindingEntry]): string {
  const lines = [
    `- Severity: ${severity} (${scopes[scope]})`,
    `- Cause: ${plain(cause)}`,
    `- If nothing is done: ${plain(blastRadius)}`,
    `- Remedy: ${plain(remedy)}`,
    `- Who can: ${plain(privilege)}`,
  ];
  return `\n### ${code}\n\n${lines.join('\n')}\n`;
}

/** A particular of the case shows as ‹name›, which Markdown leaves alone. */
function plain(text: string): string {
  return text.replaceAll(/(?<!\$)\{(?<name>\w+)\}/g, (_whole, name: string) => `‹${name}›`);
}

if (import.meta.main) {
  const { readFileSync } = await import('node:fs');
  const [written = ''] = readFileSync(doctorReferenceFile, 'utf8').split(generatedFrom);
  writeFileSync(doctorReferenceFile, written + doctorReference());
}
