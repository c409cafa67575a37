import type { JsonValue } from '#change-events/index.ts';

/** The type of a field, apart from how a schema language spells it: what Debezium's connector would give the column under this project's settings. */
export type FieldType = PlainType | { readonly base: 'array'; readonly items: PlainType; readonly depth: number };

export type PlainType = {
  readonly base: 'int' | 'long' | 'float' | 'double' | 'boolean' | 'string' | 'bytes';
  /** Connect's name of what the plain type means: `io.debezium.time.IsoDate`. */
  readonly meaning?: string;
  /** What belongs to the meaning: `allowed` of an enum, `length` of bits. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Where Connect's type is narrower. */
  readonly connectType?: 'int16';
};

/** How the column was declared in the database, in the words that Debezium propagates. */
export type DeclaredAs = { readonly type: string; readonly length?: string; readonly scale?: string };

/** One column of an event, or of a key. */
export type SchemaField = {
  /** The column's name. */
  readonly column: string;
  /** The same, as Avro takes it. */
  readonly name: string;
  readonly type: FieldType;
  readonly nullable: boolean;
  /** What the database gives to rows that were there before the column: a constant, in the contract's form. Undefined: none, or none that is plain. */
  readonly default?: JsonValue | undefined;
  readonly declared?: DeclaredAs | undefined;
};

/** What the catalogue has of a column beyond what reading it needs. */
export type ColumnDetail = {
  /** The declared type's name: `positive`, `_int4`, `bigint(20) unsigned`. */
  readonly declared: string;
  /** As declared; the server does not hold arrays to it. */
  readonly dimensions: number;
  /** Of an enum, as Debezium lists them; null for other types. */
  readonly allowed: string | null;
  /** The same one by one, whatever signs are in them. */
  readonly labels?: readonly string[];
  /** SQL of the default; null for none. */
  readonly default: string | null;
  /** The name of the base type, as a literal is cast to it: `timestamp with time zone`. */
  readonly castName: string;
};

/** By column name. Empty for a configured query. */
export type ColumnDetails = ReadonlyMap<string, ColumnDetail>;
