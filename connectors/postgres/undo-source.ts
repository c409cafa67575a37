import { DatabaseError, type Client, type ClientConfig } from 'pg';
import * as z from 'zod';
import { sqlName, sqlTable } from './sql-names.ts';
import { identityOf, refusalOf, type Identity } from './facts/identity-rules.ts';
import { readNotes, writeNotes, type Note } from './notes.ts';
import { identitySql } from './plan-table.ts';
import { attempt, withOwner } from './prepare-source.ts';
import {
  publishableQuery,
  publishableTables,
  type PublishableTable,
  type RelationFacts,
  type RelationName,
} from './facts/published-facts.ts';
import { refusedWrites } from './run-steps.ts';
import type { SourceChange } from './source-change.ts';

/**
 * Takes back what cdc connectors prepare made in this database, last first, by its notes: what was there before stays, and comes back as it was. What cannot go back
 * without making a statement of the application fail stays too, with its note, for the next undo. Delete the connector before.
 *
 * @throws CdcError SOURCE_PREPARE_FAILED, LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED
 */
export async function undoSource(owner: ClientConfig): Promise<readonly SourceChange[]> {
  return withOwner(owner, async (client) => {
    const place = `as ${owner.user ?? ''} in database ${owner.database ?? ''}`;
    const changes: SourceChange[] = [];
    let notes = await attempt(place, () => readNotes(client));
    const kept: Note[] = [];
    for (let note = notes.at(-1); note !== undefined; note = notes.at(-1)) {
      notes = notes.slice(0, -1);
      const back = note;
      const remaining = notes;
      const change = await attempt(place, () => takeBack(client, back, remaining, kept));
      if (change?.action === 'refused') kept.unshift(note);
      if (change !== undefined) changes.push(change);
    }
    return changes;
  });
}

/** Undefined: there is nothing to take back any more. */
async function takeBack(client: Client, note: Note, remaining: readonly Note[], kept: readonly Note[]): Promise<SourceChange | undefined> {
  const left = (change: SourceChange | undefined): readonly Note[] => [
    ...remaining,
    ...(change?.action === 'refused' ? [note] : []),
    ...kept,
  ];
  await client.query('BEGIN');
  try {
    const change = await carryOut(client, note, kept);
    if (change?.statement === undefined || note.kind !== 'schema') await writeNotes(client, left(change));
    await client.query('COMMIT');
    return change;
  } catch (error) {
    await client.query('ROLLBACK');
    if (!(error instanceof DatabaseError) || !isGone(error.code)) throw error;
    await writeNotes(client, left(undefined));
    return undefined;
  }
}

async function carryOut(client: Client, note: Note, kept: readonly Note[]): Promise<SourceChange | undefined> {
  const change = await changeFor(client, note, kept);
  if (change?.statement === undefined) return change;
  const written = await writtenRelations(client, note);
  const before = await refusedWrites(client, written);
  await client.query('SAVEPOINT back');
  await client.query(change.statement);
  const after = [...(await refusedWrites(client, written))].find(([relation]) => !before.has(relation));
  if (after === undefined) return change;
  await client.query('ROLLBACK TO back');
  return stays(change.object, `UPDATE and DELETE on ${after[0]} would fail without it: ${after[1]}`);
}

function stays(object: string, reason: string): SourceChange {
  return { action: 'refused', object, reason: `stays: ${reason}`, remedy: 'Run cdc connectors prepare --undo again when that is no more.' };
}

/** The table, role, publication, schema or membership that the note speaks of is there no more. */
function isGone(code: string | undefined): boolean {
  return ['42P01', '42704', '3F000', '3D000'].includes(code ?? '');
}

async function changeFor(client: Client, note: Note, kept: readonly Note[]): Promise<SourceChange | undefined> {
  switch (note.kind) {
    case 'identity':
      return identityBack(client, note);
    case 'publication':
      return publicationBack(client, note.publication);
    case 'member':
      return {
        action: 'removed',
        object: `table ${sqlTable(note.table)} from publication ${note.publication}`,
        statement: `ALTER PUBLICATION ${sqlName(note.publication)} DROP TABLE ${sqlTable(note.table)}`,
      };
    case 'option':
      return {
        action: 'changed',
        object: `publication ${note.publication}: ${note.option} back to ${note.before}`,
        statement: `ALTER PUBLICATION ${sqlName(note.publication)} SET (${note.option} = ${note.before})`,
      };
    case 'grant':
      return {
        action: 'removed',
        object: `${note.privilege} on ${note.on} from ${note.role}`,
        statement: `REVOKE ${note.privilege} ON ${note.on} FROM ${sqlName(note.role)}`,
      };
    case 'table':
      return { action: 'removed', object: `table ${sqlTable(note.table)}`, statement: `DROP TABLE ${sqlTable(note.table)}` };
    case 'schema':
      return schemaBack(client, note.schema, kept);
  }
}

/** The schema goes only when nothing else was put into it, and when there are no notes to keep in it. */
async function schemaBack(client: Client, schema: string, kept: readonly Note[]): Promise<SourceChange | undefined> {
  const object = `schema ${sqlName(schema)}`;
  if (kept.length > 0) return stays(object, 'it has the notes of what stays');
  const { rowCount } = await client.query('SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1', [
    schema,
  ]);
  return rowCount === 0 ? { action: 'removed', object, statement: `DROP SCHEMA ${sqlName(schema)}` } : undefined;
}

/** The publication goes only when nobody has added a table of theirs to it. */
async function publicationBack(client: Client, publication: string): Promise<SourceChange> {
  const object = `publication ${publication}`;
  const { rows } = await client.query<{ name: string }>(
    `SELECT prrelid::regclass::text AS name FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid
      WHERE pubname = $1 AND prrelid IS DISTINCT FROM to_regclass('cdc.heartbeat') ORDER BY 1`,
    [publication],
  );
  const names = rows.map(({ name }) => name).join(', ');
  if (rows.length > 0) return stays(object, `it has ${names}, which cdc connectors prepare did not add`);
  return { action: 'removed', object, statement: `DROP PUBLICATION ${sqlName(publication)}` };
}

/** Not where somebody has set another since. */
async function identityBack(
  client: Client,
  { table, set, before }: Extract<Note, { kind: 'identity' }>,
): Promise<SourceChange | undefined> {
  const [found] = await publishable(client, [table], []);
  const relation = found?.relations.find(({ id }) => id.schema === table.schema && id.table === table.table);
  const object = `replica identity of table ${sqlTable(table)}`;
  if (found === undefined || relation === undefined || !isIdentity(identityOf(relation), set)) return undefined;
  const identity = identitiesOf(relation).find((one) => isIdentity(one, before));
  if (identity === undefined) return stays(object, `there is no ${before} any more`);
  const reason = refusalOf(relation, identity, relation.publications, found.version);
  if (reason !== undefined) return stays(object, `UPDATE and DELETE would fail without it: ${reason}`);
  return {
    action: 'changed',
    object: `${object} back to ${before}`,
    statement: `ALTER TABLE ${sqlTable(table)} REPLICA IDENTITY ${before}`,
  };
}

function identitiesOf({ unique }: RelationFacts): readonly Identity[] {
  const indexes = unique.map(({ name, columns }) => ({ kind: 'index', index: name, columns }) as const);
  return [{ kind: 'full' }, { kind: 'default' }, { kind: 'nothing' }, ...indexes];
}

/** The first notes had a letter, and no name of an index. */
function isIdentity(identity: Identity, noted: string): boolean {
  return identitySql(identity) === noted || (noted === 'f' && identity.kind === 'full') || (noted === 'i' && identity.kind === 'index');
}

/** Tables whose UPDATE and DELETE may depend on what is taken back. */
async function writtenRelations(client: Client, note: Note): Promise<readonly RelationName[]> {
  if (note.kind === 'identity') return [note.table];
  if (note.kind !== 'option') return [];
  const held = await publishable(client, [], [note.publication]);
  return held.flatMap(({ relations }) => relations.filter(({ leaf }) => leaf).map(({ id }) => id));
}

async function publishable(
  client: Client,
  tables: readonly RelationName[],
  publications: readonly string[],
): Promise<readonly PublishableTable[]> {
  const version = await client.query<{ version: number }>("SELECT current_setting('server_version_num')::int AS version");
  const { rows } = await client.query({
    text: publishableQuery(version.rows[0]?.version ?? 0),
    values: [JSON.stringify(tables), publications, ''],
    rowMode: 'array',
  });
  return publishableTables.parse(z.array(z.array(z.unknown())).parse(rows)[0]?.[0]);
}
