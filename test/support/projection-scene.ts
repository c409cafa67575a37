import assert from 'node:assert/strict';
import { DatabaseError, escapeIdentifier } from 'pg';
import type { JsonValue } from '#change-events/index.ts';
import type { OutgoingMessage } from '#kafka/index.ts';
import { commitBatches } from '#read-model/apply/commit-batches.ts';
import { inTransaction } from '#read-model/database.ts';
import { checkProjections, createProjection, type CheckedProjections } from '#read-model/views/check-projections.ts';
import { readProjections } from '#read-model/views/projection-file.ts';
import type { Projection } from '#read-model/views/projection.ts';
import type { DirectModel } from './direct-apply.ts';
import { eventValue } from './order-events.ts';
import type { QueryTable } from './random-queries.ts';

/** Mirrors of one's own, and changes of them through the same path that events take. */

export type TableRow = Readonly<Record<string, JsonValue>>;
export type TableChange = { readonly table: string; readonly op: 'upsert' | 'delete' | 'truncate'; readonly row: TableRow };

export type ProjectionScene = {
  /** Applies changes in one transaction. */
  apply(projections: readonly Projection[], changes: readonly TableChange[]): Promise<void>;
};

/** Makes the mirrors of a model these tables, empty. */
export async function createProjectionScene(direct: DirectModel, tables: readonly QueryTable[]): Promise<ProjectionScene> {
  const { read } = direct;
  const known = await read.query('SELECT mirror_table FROM model.mirrored_tables');
  const drops = known.map((row) => `DROP TABLE model.${escapeIdentifier(row['mirror_table'] ?? '')}`);
  await read.query(
    [...drops, 'DELETE FROM model.mirrored_tables', 'DELETE FROM model.applied_offsets', 'DELETE FROM model.projection_faults'].join('; '),
  );
  for (const { name, columns, key } of tables) {
    const listed = columns.map((column) => `${escapeIdentifier(column.name)} ${column.type}`);
    await read.query(
      `CREATE TABLE model.${escapeIdentifier(name)} (${listed.join(', ')}, _lsn bigint, PRIMARY KEY (${key.map(escapeIdentifier).join(', ')}))`,
    );
    await read.query(`INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ($1, 'public', $2)`, [
      name,
      name,
    ]);
    await direct.place(name);
  }
  await direct.reload();
  const offsets = new Map(tables.map(({ name }) => [name, 0]));
  return {
    async apply(projections, changes) {
      const batches = tables.flatMap((table) => {
        const messages = changes.filter((change) => change.table === table.name).map((change) => toMessage(table, change));
        const offset = offsets.get(table.name) ?? 0;
        offsets.set(table.name, offset + messages.length);
        return messages.length === 0 ? [] : [direct.batch(table.name, offset, messages)];
      });
      await commitBatches(direct.pool, { ...direct.model, projections }, batches);
    },
  };
}

function toMessage({ name, key }: QueryTable, { op, row }: TableChange): OutgoingMessage {
  if (op === 'truncate') return { key: null, value: eventValue({ table: name, op: 't' }) };
  const keyText = JSON.stringify(Object.fromEntries(key.map((column) => [column, row[column] ?? null])));
  return op === 'delete'
    ? { key: keyText, value: eventValue({ table: name, op: 'd', before: row }) }
    : { key: keyText, value: eventValue({ table: name, op: 'u', after: row }) };
}

/** Checks projections' texts, by their names, against the model's mirrors. */
export function check(direct: DirectModel, texts: Readonly<Record<string, string>>): Promise<CheckedProjections> {
  const files = readProjections(Object.entries(texts).map(([name, text]) => ({ file: `${name}.sql`, text })));
  return inTransaction(direct.pool, 'model', (client) => checkProjections(client, files));
}

export async function create(direct: DirectModel, projections: readonly Projection[]): Promise<void> {
  await inTransaction(direct.pool, 'model', async (client) => {
    for (const projection of projections) await createProjection(client, projection);
  });
}

/** The rows in which a view and its query differ: with `-` what the view lacks, with `+` what it should not have. */
export async function differences(direct: DirectModel, { name, key }: Projection, query: string): Promise<readonly string[]> {
  const known = key.map((column) => `${escapeIdentifier(column.name)} IS NOT NULL`).join(' AND ');
  const view = `SELECT * FROM ${escapeIdentifier(name)}`;
  const asked = `SELECT * FROM (${query}) AS q WHERE ${known}`;
  const found = await inTransaction(direct.pool, 'model', (client) =>
    client.query<{ row: string }>(
      `SELECT '-' || d::text AS row FROM (${asked} EXCEPT ALL ${view}) AS d UNION ALL SELECT '+' || d::text FROM (${view} EXCEPT ALL ${asked}) AS d`,
    ),
  );
  return found.rows.map(({ row }) => row);
}

/** The codes with which a view of this query may halt now: it fails on the data, or gives a key twice. None when it must not halt. */
export async function reasonOf(direct: DirectModel, { key }: Projection, query: string): Promise<readonly string[]> {
  const columns = key.map((column) => escapeIdentifier(column.name));
  const known = columns.map((column) => `${column} IS NOT NULL`).join(' AND ');
  try {
    const { rows } = await inTransaction(direct.pool, 'model', async (client) => {
      // All of its columns, which Postgres would not work out for the count of keys alone.
      await client.query(`SELECT * FROM (${query}) AS q`);
      return await client.query(`SELECT 1 FROM (${query}) AS q WHERE ${known} GROUP BY ${columns.join(', ')} HAVING count(*) > 1 LIMIT 1`);
    });
    return rows.length > 0 ? ['READ_MODEL_PROJECTION_KEY_NOT_UNIQUE'] : [];
  } catch (error) {
    assert.ok(error instanceof DatabaseError, String(error));
    // Of a query that fails nobody can say whether it would give a key twice too.
    return ['READ_MODEL_PROJECTION_FAILED', 'READ_MODEL_PROJECTION_KEY_NOT_UNIQUE'];
  }
}
