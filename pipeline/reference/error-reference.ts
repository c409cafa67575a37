import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCatalogue } from '../errors.ts';
import { wrapped } from './markdown.ts';

/** Where the reference of all errors is. */
export const errorReferenceFile = join(import.meta.dirname, '..', '..', 'docs', 'reference', 'errors.md');

const opening = `# Errors

Every error that \`cdc\` ends with has a code. \`cdc\` prints the code, one sentence with the place (file and
line, table and column, topic and offset), and the remedy. It never prints a secret.

Scripts can go by the exit code. Exit codes follow sysexits.h where one fits. An unknown command or option
gives 64.

Generated from \`pipeline/error-catalogue/\` by \`npm run docs:errors\`. A test fails when it is out of
date.
`;

/** docs/reference/errors.md: the catalogue as Markdown, in the order of the codes. */
export function errorReference(): string {
  const sections = Object.entries(errorCatalogue)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, { cause, remedy, exitCode }]) => {
      const lines = [`- Cause: ${cause}`, `- Remedy: ${remedy}`, `- Exit code: ${exitCode}`];
      return `\n## ${code}\n\n${lines.map((line) => wrapped(line, '  ')).join('\n')}\n`;
    });
  return opening + sections.join('');
}

if (import.meta.main) writeFileSync(errorReferenceFile, errorReference());
