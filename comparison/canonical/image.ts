import { ownMember } from '#pipeline/index.ts';
import { unavailableValue, type Row } from '#change-events/index.ts';
import { hash } from 'node:crypto';
import type { TableShape } from './shape.ts';
import { canonicalFromEvent, canonicalFromLedger } from './value.ts';

/**
 * A row's state in few bytes: equal states of a table have equal digests, whichever side they come from (132 bits of SHA-256 over the
 * canonical values). `missing` names the columns that the event did not carry: an untouched TOAST value, an excluded column.
 */
export type Image = { readonly digest: string; readonly missing: readonly string[] };

export function eventImage(shape: TableShape, row: Row): Image {
  const missing: string[] = [];
  const values: (readonly [string, string | null])[] = [];
  for (const column of shape.columns) {
    const value = ownMember(row, column.name);
    if (value === undefined || value === unavailableValue) missing.push(column.name);
    else values.push([column.name, canonicalFromEvent(column, value)]);
  }
  return { digest: digest(values), missing };
}

/** A row as the ledger is read: column → `jsonb_each_text`. */
export type LedgerRow = Readonly<Record<string, string | null>>;

/** The digest that an event of this state has when it lacks the columns of `without`. */
export function ledgerDigest(shape: TableShape, row: LedgerRow, without: readonly string[] = []): string {
  return digest(
    shape.columns
      .filter(({ name }) => !without.includes(name))
      .map((column) => [column.name, canonicalFromLedger(column, ownMember(row, column.name) ?? null)]),
  );
}

function digest(values: readonly (readonly [string, string | null])[]): string {
  return hash('sha256', JSON.stringify(values), 'base64url').slice(0, 22);
}

/** A key's text: the value for a key of one column, a JSON list for more. What reports show. */
export function eventKey(shape: TableShape, key: Row): string {
  return keyText(shape, (name) => {
    const column = shape.columns.find((candidate) => candidate.name === name);
    return column === undefined ? null : canonicalFromEvent(column, ownMember(key, name) ?? null);
  });
}

/** {@link eventKey} of the ledger's key. */
export function ledgerKey(shape: TableShape, key: LedgerRow): string {
  return keyText(shape, (name) => {
    const column = shape.columns.find((candidate) => candidate.name === name);
    return column === undefined ? null : canonicalFromLedger(column, ownMember(key, name) ?? null);
  });
}

function keyText(shape: TableShape, read: (column: string) => string | null): string {
  const values = shape.key.map(read);
  return values.length === 1 ? (values[0] ?? 'null') : JSON.stringify(values);
}
