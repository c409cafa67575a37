import { ownMember } from '#pipeline/index.ts';

/**
 * What the comparison knows of a table: enough to bring a row to one canonical text, whether it comes from an event (the contract's
 * representation) or from the ledger (Postgres's own `to_jsonb`).
 */
export type ValueKind =
  | 'boolean'
  | 'integer'
  | 'numeric'
  | 'float'
  | 'money'
  | 'timestamptz'
  | 'timestamp'
  | 'date'
  | 'time'
  | 'timetz'
  | 'interval'
  | 'json'
  | 'bytea'
  | 'bits'
  | 'text';

export type Column = { readonly name: string; readonly kind: ValueKind; readonly array: boolean };

/** `id` is `schema.table`; `key` names the primary key's columns in key order, none for a table without one. */
export type TableShape = {
  readonly id: string;
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
};

const kinds: Readonly<Record<string, ValueKind>> = {
  bool: 'boolean',
  int2: 'integer',
  int4: 'integer',
  int8: 'integer',
  oid: 'integer',
  numeric: 'numeric',
  float4: 'float',
  float8: 'float',
  money: 'money',
  timestamptz: 'timestamptz',
  timestamp: 'timestamp',
  date: 'date',
  time: 'time',
  timetz: 'timetz',
  interval: 'interval',
  json: 'json',
  jsonb: 'json',
  bytea: 'bytea',
  bit: 'bits',
  varbit: 'bits',
};

/** The kind of a Postgres type by its `pg_type.typname` (a domain's base type); what is not listed is compared as text. */
export function valueKind(typeName: string): ValueKind {
  return ownMember(kinds, typeName) ?? 'text';
}
