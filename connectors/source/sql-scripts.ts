import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '..', 'sql');
const names = ['01-heartbeat', '02-replica-identity', '03-publication', '04-grants', '05-signal'] as const;

/** One script of connectors/sql: its file's name and its text. */
export type SqlScript = { readonly name: string; readonly sql: string };

/** The owner's scripts in the order in which they run. */
export function prepareScripts(): Promise<readonly SqlScript[]> {
  return Promise.all(names.map((name) => read(`${name}.sql`)));
}

/** The scripts that take all of it back, last first. */
export function undoScripts(): Promise<readonly SqlScript[]> {
  return Promise.all(names.toReversed().map((name) => read(`${name}.undo.sql`)));
}

async function read(name: string): Promise<SqlScript> {
  return { name, sql: await readFile(join(folder, name), 'utf8') };
}
