import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCatalogue } from './errors.ts';

/** Where the reference of all errors is. */
export const errorReferenceFile = join(import.meta.dirname, '..', 'docs', 'errors.md');

const opening = `# Errors

Every error that \`cdc\` ends with has a code. It prints one sentence with the place (file and line, table and column, topic and offset), then the remedy;
the exit code tells a script what kind of trouble it is (they follow sysexits.h where one fits; 64 for a command or option that there is not). Nothing printed holds a secret.

Generated from \`pipeline/error-catalogue/\` by \`npm run docs:errors\`; a test fails when it is out of date.
`;

/** docs/errors.md: the catalogue as Markdown, in the order of the codes. */
export function errorReference(): string {
  const sections = Object.entries(errorCatalogue)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, { cause, remedy, exitCode }]) => `\n## ${code}\n\n- Cause: ${cause}\n- Remedy: ${remedy}\n- Exit code: ${exitCode}\n`);
  return opening + sections.join('');
}

if (import.meta.main) writeFileSync(errorReferenceFile, errorReference());
