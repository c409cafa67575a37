import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const folder = join(import.meta.dirname, 'sql');

/** The numbered scripts of `sql/` (the order system) or of a folder in it, as texts in the order in which they run. */
export async function sqlFiles(part: '.' | 'ledger' | 'seed'): Promise<readonly string[]> {
  const names = (await readdir(join(folder, part))).filter((name) => /^\d+-.*\.sql$/.test(name)).toSorted();
  return Promise.all(names.map((name) => sqlFile(`${part}/${name}`)));
}

/** One script, by its path in `sql/`. */
export function sqlFile(path: string): Promise<string> {
  return readFile(join(folder, path), 'utf8');
}
