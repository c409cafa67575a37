import type { CliContext } from '#pipeline/index.ts';
import { prepareMariadb, undoMariadb } from '../mariadb/prepare.ts';
import { capturedTables } from '../postgres/table-list.ts';
import { publicationOf } from '../postgres/facts/expectations.ts';
import { failIfRefused, prepareEach } from '../postgres/prepare-source.ts';
import type { SourceChange } from '../postgres/source-change.ts';
import { undoSource } from '../postgres/undo-source.ts';
import { filesOf, legacyRole, mariadbRole, toJson, type JsonOption } from './connect-context.ts';

/** Prepares the source for each connector file's tables and publication, or takes that back. */
export async function prepare(
  context: CliContext,
  { json = false, undo = false }: JsonOption & { readonly undo?: boolean },
): Promise<void> {
  const ofMariadb = (await context.config()).legacyDb.dialect === 'mariadb';
  const changes = await (ofMariadb ? prepareBinlog(context, undo) : prepareWal(context, undo));
  if (json) context.print(toJson(changes));
  else context.print([...changes.map(line), countChanges(changes)].join('\n'));
  if (!undo && !ofMariadb) failIfRefused(changes, await legacyRole(context, 'owner'));
}

function line({ action, object, statement, reason }: SourceChange): string {
  const more = action === 'refused' ? ` ${reason ?? ''}` : statement === undefined ? '' : `: ${statement};`;
  return `${action.padEnd(8)} ${object}${more}`;
}

async function prepareWal(context: CliContext, undo: boolean): Promise<readonly SourceChange[]> {
  const owner = await legacyRole(context, 'owner');
  if (undo) return undoSource(owner);
  const { user: replicator = '' } = await legacyRole(context, 'replicator');
  const changes: SourceChange[] = [];
  for (const { name, config } of await filesOf(context)) {
    const request = { tables: capturedTables(name, config), publication: publicationOf(config), replicator };
    changes.push(...(await prepareEach(owner, request)));
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
  const made = changes.filter(({ action }) => action !== 'present' && action !== 'refused').length;
  return made === 0 ? 'nothing to do' : `${made} ${made === 1 ? 'change' : 'changes'} in the source`;
}
