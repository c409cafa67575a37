import { DatabaseError, type Client } from 'pg';
import { sqlName, sqlTable } from './sql-names.ts';
import { readNotes, writeNotes } from './notes.ts';
import type { RelationName } from './facts/published-facts.ts';
import type { Step } from './source-change.ts';

/**
 * Runs one statement in a transaction of its own, with its note, and asks the server whether UPDATE and DELETE still work: it says so when it is asked to explain one.
 * Where it would refuse them, the statement is rolled back and the refusal thrown. Returns whether anything was changed.
 */
export async function runStep(client: Client, { change, note, writes = [] }: Step): Promise<boolean> {
  await client.query('BEGIN');
  try {
    const { rowCount, command } = await client.query(change.statement);
    for (const relation of writes) await tryWrites(client, relation);
    if (note !== undefined) await writeNotes(client, [...(await readNotes(client)), note]);
    await client.query('COMMIT');
    return command !== 'INSERT' || rowCount !== 0;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

const columnQuery = `SELECT a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' LIMIT 1`;

/** Of these tables, those whose UPDATE or DELETE the server refuses now, each with what it says. In a transaction that is open. */
export async function refusedWrites(client: Client, relations: readonly RelationName[]): Promise<ReadonlyMap<string, string>> {
  const refused = new Map<string, string>();
  for (const relation of relations) {
    await client.query('SAVEPOINT writes');
    try {
      await tryWrites(client, relation);
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      refused.set(sqlTable(relation), error.detail ?? error.message);
    }
    await client.query('ROLLBACK TO writes');
  }
  return refused;
}

async function tryWrites(client: Client, relation: RelationName): Promise<void> {
  const { rows } = await client.query<{ name: string }>(columnQuery, [relation.schema, relation.table]);
  const column = rows[0]?.name;
  const name = sqlTable(relation);
  await explain(client, `DELETE FROM ONLY ${name}`);
  if (column !== undefined) await explain(client, `UPDATE ONLY ${name} SET ${sqlName(column)} = DEFAULT`);
}

/** An owner may have taken these rights from itself: then the rules that the plan was made by have to do. */
async function explain(client: Client, statement: string): Promise<void> {
  await client.query('SAVEPOINT write');
  try {
    await client.query(`EXPLAIN ${statement}`);
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.code !== '42501') throw error;
    await client.query('ROLLBACK TO write');
  }
}
