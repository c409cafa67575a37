import { readdir, readFile } from 'node:fs/promises';

/** The SQL of a model's own tables, in the order in which its files are applied. */
const folder = new URL('./sql/', import.meta.url);

export async function ownSqlFiles(): Promise<readonly string[]> {
  const files = await readdir(folder);
  return files.filter((file) => file.endsWith('.sql')).toSorted();
}

export function ownSql(file: string): Promise<string> {
  return readFile(new URL(file, folder), 'utf8');
}

/** Files that went by another name, and made the sample's mirrors and view too: the mirrors stay, and the configuration takes them over. */
export const superseded = {
  '001-mirrors.sql': '001-mirrored-tables.sql',
  '003-order-view.sql': null,
  '005-source-changes.sql': '005-moved-rows.sql',
} as const;

/**
 * How old a schema is beside a program that has the files `own`, by the files that were applied to it. `newer` goes before `older`: a newer
 * program may have renamed files. Pure.
 */
export function ageOfSchema(applied: readonly string[], own: readonly string[]): 'older' | 'same' | 'newer' {
  const known = new Set([...own, ...Object.keys(superseded)]);
  if (applied.some((file) => !known.has(file))) return 'newer';
  return own.every((file) => applied.includes(file)) ? 'same' : 'older';
}
