import type { TableShape } from '../canonical/shape.ts';
import { quoteName } from '../source/catalogue.ts';
import type { Session } from '../source/session.ts';
import type { KeyedRow, KeyOrder } from './merge.ts';

/** Something with rows to compare: a table or a query, with its key's columns and the others, by name. */
export type Relation = {
  /** SQL for a FROM clause, with an alias. */
  readonly from: string;
  readonly key: readonly string[];
  readonly keyOrder: readonly KeyOrder[];
  readonly columns: readonly string[];
};

/** Streams a relation in key order, everything as the text that Postgres prints. Inside {@link Session.readOnly}. */
export async function* streamRelation(session: Session, { from, key, keyOrder, columns }: Relation): AsyncGenerator<KeyedRow> {
  // The output names must not be those of the columns, or ORDER BY would sort the text and not use the index.
  const output = [...key, ...columns].map((name) => `(r.${quoteName(name)})::text`).join(', ');
  const order = key
    .map((name, index) => (keyOrder[index] === 'integer' ? `r.${quoteName(name)}` : `(r.${quoteName(name)})::text COLLATE "C"`))
    .join(', ');
  for await (const row of session.stream(`SELECT ${output} FROM ${from} AS r ORDER BY ${order}`)) {
    yield { key: row.slice(0, key.length).map((value) => value ?? ''), values: row.slice(key.length) };
  }
}

export function keyOrderOf(shape: TableShape): readonly KeyOrder[] {
  return shape.key.map((name) =>
    shape.columns.some((column) => column.name === name && column.kind === 'integer' && !column.array) ? 'integer' : 'bytes',
  );
}
