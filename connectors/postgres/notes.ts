import type { Client } from 'pg';
import * as z from 'zod';
import { CdcError } from '#pipeline/index.ts';
import type { RelationName } from './facts/published-facts.ts';
import { sqlText } from './sql-names.ts';

/** What takes a change back; noted in the source with the change itself. `set` and `before` are what comes after REPLICA IDENTITY, or an option's value. */
export type Note =
  | { readonly kind: 'identity'; readonly table: RelationName; readonly set: string; readonly before: string }
  | { readonly kind: 'publication'; readonly publication: string }
  | { readonly kind: 'member'; readonly publication: string; readonly table: RelationName }
  | { readonly kind: 'option'; readonly publication: string; readonly option: string; readonly before: string }
  | { readonly kind: 'grant'; readonly privilege: string; readonly on: string; readonly role: string }
  | { readonly kind: 'table'; readonly table: RelationName }
  | { readonly kind: 'schema'; readonly schema: string };

const table = z.object({ schema: z.string(), table: z.string() });
const noteSchema: z.ZodType<Note> = z.discriminatedUnion('kind', [
  // The first notes had no `before`: only DEFAULT was ever changed.
  z.object({ kind: z.literal('identity'), table, set: z.string(), before: z.string().default('DEFAULT') }),
  z.object({ kind: z.literal('publication'), publication: z.string() }),
  z.object({ kind: z.literal('member'), publication: z.string(), table }),
  z.object({ kind: z.literal('option'), publication: z.string(), option: z.string(), before: z.string() }),
  z.object({ kind: z.literal('grant'), privilege: z.string(), on: z.string(), role: z.string() }),
  z.object({ kind: z.literal('table'), table }),
  z.object({ kind: z.literal('schema'), schema: z.string() }),
]);

const head = 'Made by cdc connectors prepare, taken back by its --undo: ';

/**
 * Notes of what was changed, oldest first, at the end of the comment on schema cdc: they go with the database, wherever it is copied.
 *
 * @throws CdcError SOURCE_PREPARE_FAILED where somebody has edited them, or a later version wrote them
 */
export async function readNotes(client: Client): Promise<readonly Note[]> {
  const { notes } = await readComment(client);
  if (notes === '') return [];
  try {
    return z.array(noteSchema).parse(JSON.parse(notes));
  } catch (error) {
    throw new CdcError('SOURCE_PREPARE_FAILED', 'the notes of cdc connectors prepare in the comment on schema cdc cannot be read', {
      cause: error,
      remedy: `Run the version that prepared the source, or take back by hand what they list (SELECT obj_description(to_regnamespace('cdc'), 'pg_namespace')).`,
    });
  }
}

/** In the transaction of the change itself. What else the comment says stays. */
export async function writeNotes(client: Client, notes: readonly Note[]): Promise<void> {
  const { own } = await readComment(client);
  const parts = [...(own === '' ? [] : [own]), ...(notes.length === 0 ? [] : [head + JSON.stringify(notes)])];
  await client.query(`COMMENT ON SCHEMA cdc IS ${parts.length === 0 ? 'NULL' : sqlText(parts.join('\n'))}`);
}

/** The notes, and before them whatever its owner had written there. */
async function readComment(client: Client): Promise<{ readonly own: string; readonly notes: string }> {
  const { rows } = await client.query<{ comment: string | null }>(
    `SELECT obj_description(to_regnamespace('cdc'), 'pg_namespace') AS comment`,
  );
  const comment = rows[0]?.comment ?? '';
  const at = comment.lastIndexOf(head);
  if (at < 0) return { own: comment, notes: '' };
  return { own: comment.slice(0, at).replace(/\n$/, ''), notes: comment.slice(at + head.length) };
}
