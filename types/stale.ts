import { readFile, writeFile } from 'node:fs/promises';
import { diff } from 'node:util';
import { CdcError, describeError } from '#pipeline/index.ts';

/** Lines around each change that are shown. */
const around = 2;

/** How a file differs from what it should hold, as lines with `-` and `+` before them; null where it does not. A file that is not there has no line yet. */
export async function staleness(file: string, text: string): Promise<string | null> {
  const found = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new CdcError('TYPES_FILE_UNUSABLE', `${file} cannot be read: ${describeError(error)}`, { cause: error });
  });
  // An editor or git may have changed the ends of lines.
  const held = found?.replaceAll('\r\n', '\n') ?? null;
  if (held === text) return null;
  return held === null ? `${file} does not exist` : lineDifference(held, text);
}

/** @throws CdcError TYPES_FILE_UNUSABLE */
export async function writeTypes(file: string, text: string): Promise<void> {
  await writeFile(file, text).catch((error: unknown) => {
    throw new CdcError('TYPES_FILE_UNUSABLE', `${file} cannot be written: ${describeError(error)}`, { cause: error });
  });
}

/** Pure. */
export function lineDifference(held: string, wanted: string): string {
  // As util.diff has it: 1 is of the first text alone, -1 of the second.
  const lines = diff(held.split('\n'), wanted.split('\n'));
  const near = new Set(
    lines.flatMap(([kind], at) => (kind === 0 ? [] : Array.from({ length: 2 * around + 1 }, (_, offset) => at + offset - around))),
  );
  const shown: string[] = [];
  for (const [at, [kind, line]] of lines.entries()) {
    if (near.has(at)) shown.push(`${kind === 0 ? ' ' : kind === 1 ? '-' : '+'} ${line}`.trimEnd());
    else if (near.has(at - 1)) shown.push('…');
  }
  return shown.join('\n');
}
