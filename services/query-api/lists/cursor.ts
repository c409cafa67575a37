import { createHash } from 'node:crypto';
import * as z from 'zod';
import { Problem } from '../../http/problems.ts';
import type { Table } from '../model/catalogue.ts';
import type { Column } from '../model/values.ts';

/**
 * Where the next page begins: the last row's values of the list's order, and of which list. Opaque to clients. Nobody gains by making one up: its values
 * are parameters of the very query that the request makes anyway. Pure.
 */

const content = z.strictObject({ l: z.string(), v: z.array(z.string().nullable()) });

/** What makes a list another one. */
export type ListIdentity = {
  readonly filters: readonly Filter[];
  /** Columns by which the list is ordered, so that no two rows are equal. */
  readonly order: readonly Column[];
  readonly descending: boolean;
  /** Rows that are marked as deleted too. */
  readonly withDeleted: boolean;
};

export type Filter = { readonly column: Column; readonly value: string };

/** What must be the same from page to page. */
function listOf({ name }: Table, { filters, order, descending, withDeleted }: ListIdentity): string {
  const parts = [
    name,
    filters.map(({ column, value }) => [column.name, value]),
    order.map((column) => column.name),
    descending,
    withDeleted,
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 16);
}

export function writeCursor(table: Table, query: ListIdentity, values: readonly (string | null)[]): string {
  return Buffer.from(JSON.stringify({ l: listOf(table, query), v: values })).toString('base64url');
}

/** @throws Problem cursor-invalid */
export function readCursor(cursor: string, table: Table, query: ListIdentity): readonly (string | null)[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    throw invalid('The cursor was not given by this API.');
  }
  const { success, data } = content.safeParse(parsed);
  if (!success) throw invalid('The cursor was not given by this API.');
  if (data.l !== listOf(table, query)) throw invalid('The cursor belongs to another list: filters, order or table are not the same.');
  const fits =
    data.v.length === query.order.length && data.v.every((value, index) => value !== null || query.order[index]?.notNull === false);
  if (!fits) throw invalid('The cursor does not fit the table any more.');
  return data.v;
}

function invalid(why: string): Problem {
  return new Problem('cursor-invalid', `${why} Begin again without a cursor.`);
}
