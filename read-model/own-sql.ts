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
