import { CdcError, type CliContext } from '#pipeline/index.ts';
import { capturedTables } from '../source/captured-tables.ts';
import { publicationOf } from '../source/expectations.ts';
import { prepareSource, undoSource, type SourceChange } from '../source/prepare-source.ts';
import { filesOf, legacyRole, toJson, type JsonOption } from './connect-context.ts';

/** Prepares the source for each connector file's tables and publication, or takes that back. */
export async function prepare(
  context: CliContext,
  { json = false, undo = false }: JsonOption & { readonly undo?: boolean },
): Promise<void> {
  if ((await context.config()).legacyDb.dialect === 'mariadb') {
    throw new CdcError('DIALECT_UNSUPPORTED', 'prepare works on Postgres, and legacyDb.dialect says mariadb', {
      remedy: 'The DBA runs connectors/sql/mariadb by hand (docs/log-based.md).',
    });
  }
  const owner = await legacyRole(context, 'owner');
  const { user: replicator = '' } = await legacyRole(context, 'replicator');
  const changes: SourceChange[] = [];
  for (const { name, config } of await filesOf(context)) {
    const request = { tables: capturedTables(name, config), publication: publicationOf(config), replicator };
    changes.push(...(await (undo ? undoSource : prepareSource)(owner, request)));
  }
  if (json) context.print(toJson(changes));
  else context.print([...changes.map(({ action, object }) => `${action.padEnd(8)} ${object}`), countChanges(changes)].join('\n'));
}

function countChanges(changes: readonly SourceChange[]): string {
  const made = changes.filter(({ action }) => action !== 'present').length;
  return made === 0 ? 'nothing to do' : `${made} ${made === 1 ? 'change' : 'changes'} in the source`;
}
