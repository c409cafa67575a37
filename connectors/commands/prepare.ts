import type { CliContext } from '#pipeline/index.ts';
import { prepareMariadb, undoMariadb } from '../binlog/prepare.ts';
import { capturedTables } from '../source/captured-tables.ts';
import { publicationOf } from '../source/expectations.ts';
import { prepareSource, undoSource, type SourceChange } from '../source/prepare-source.ts';
import { filesOf, legacyRole, mariadbRole, toJson, type JsonOption } from './connect-context.ts';

/** Prepares the source for each connector file's tables and publication, or takes that back. */
export async function prepare(
  context: CliContext,
  { json = false, undo = false }: JsonOption & { readonly undo?: boolean },
): Promise<void> {
  const changes: SourceChange[] = [];
  if ((await context.config()).legacyDb.dialect === 'mariadb') changes.push(...(await prepareBinlog(context, undo)));
  else changes.push(...(await prepareWal(context, undo)));
  if (json) context.print(toJson(changes));
  else context.print([...changes.map(({ action, object }) => `${action.padEnd(8)} ${object}`), countChanges(changes)].join('\n'));
}

async function prepareWal(context: CliContext, undo: boolean): Promise<readonly SourceChange[]> {
  const owner = await legacyRole(context, 'owner');
  const { user: replicator = '' } = await legacyRole(context, 'replicator');
  const changes: SourceChange[] = [];
  for (const { name, config } of await filesOf(context)) {
    const request = { tables: capturedTables(name, config), publication: publicationOf(config), replicator };
    changes.push(...(await (undo ? undoSource : prepareSource)(owner, request)));
  }
  return changes;
}

/** All files at once: their rights are one account's. */
async function prepareBinlog(context: CliContext, undo: boolean): Promise<readonly SourceChange[]> {
  const roles = { owner: await mariadbRole(context, 'owner'), replicator: await mariadbRole(context, 'replicator') };
  const tables = (await filesOf(context)).flatMap(({ name, config }) => capturedTables(name, config));
  return undo ? undoMariadb(roles) : prepareMariadb(roles, tables);
}

function countChanges(changes: readonly SourceChange[]): string {
  const made = changes.filter(({ action }) => action !== 'present').length;
  return made === 0 ? 'nothing to do' : `${made} ${made === 1 ? 'change' : 'changes'} in the source`;
}
