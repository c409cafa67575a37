import { formatTableId, queryConnector, type Operation, type TableId } from '#change-events/index.ts';
import { CdcError } from '#pipeline/index.ts';
import { instantOf, type WallClock } from '../fence/local-time.ts';
import { parseMicros } from '../fence/micros.ts';
import { jsonString } from './json-string.ts';
import type { ByteEncoder } from './bytes/byte-events.ts';
import { maskEncoder, type Mask } from './masks.ts';
import type { ColumnType, ValueEncoder } from './column-type.ts';
import { isPlainUtc } from './plain-utc.ts';

/** Raw texts of the columns that are read of a row, in the table's order; null is SQL's NULL. */
export type RawRow = readonly (string | null)[];

export type EventColumn = {
  readonly name: string;
  readonly type: ColumnType;
  readonly notNull?: boolean;
  /** Of text: which texts are equal to the database. */
  readonly collation?: 'exact' | 'padded' | 'loose';
};

/** The encoder of a column's values. */
export type EncodeColumn = (column: EventColumn) => ValueEncoder;

/** Of a key's column: the one text, of several that mean the same value, that keys have; null where each value has one. */
export type KeyText = (column: EventColumn) => ((text: string) => string) | null;

/** An index in the columns that are read, and what events have in place of its value. */
export type PublishedColumn = { readonly column: number; readonly mask: Mask | null };

export type EventShape = {
  readonly database: string;
  readonly table: TableId;
  /** The topic prefix: Debezium's `source.name`. */
  readonly prefix: string;
  /** All columns that are read, in the table's order. */
  readonly columns: readonly EventColumn[];
  /** Indexes in `columns` of those that are in `after`, in the table's order; a mask shows something else there. */
  readonly published: readonly PublishedColumn[];
  /** Indexes in `columns` of the key's columns. */
  readonly key: readonly number[];
  /** Indexes in `columns`: the first of these that is not null becomes `source.ts_ms`. None: it is null. */
  readonly timestamps: readonly number[];
  /** In which timestamps without zone were written. */
  readonly clock: WallClock | null;
  readonly encodeColumn: EncodeColumn;
  readonly keyText: KeyText;
};

/** Of an event: `txId` is the row's xmin, as Debezium gives it: 32 bits; null where there is none. `publishedAt` in ms since the epoch. */
export type EventFacts = { readonly op: Operation; readonly txId: string | null; readonly publishedAt: number };

/** Writes a table's events, in one format. Made once per table shape, so that a row costs no look-up. */
export type EventEncoder = {
  /** `{"id":1}`, whatever the format: the row's name in positions, and what chooses its partition. */
  key(row: RawRow): string;
  /** `after` alone, as JSON, whatever the format: identifies the content. */
  after(row: RawRow): string;
  /** The message's key. `key` is that of the row. */
  wireKey(row: RawRow, key: string): string | Buffer;
  /** The message's value: the envelope. */
  value(row: RawRow, event: EventFacts): string | Buffer;
  /**
   * The value that says that a row is gone, seen at `seenAt` (ms since the epoch). The transaction that deleted it is not known, nor the row as it was:
   * `txId` and `before` are null.
   */
  deletion(seenAt: number): string | Buffer;
  /** The same events from rows that are bytes, where the format and the database have that way. */
  readonly bytes?: ByteEncoder;
};

/** The format without schemas. */
export type JsonEncoder = Omit<EventEncoder, 'value' | 'deletion'> & {
  value(row: RawRow, event: EventFacts): string;
  deletion(seenAt: number): string;
};

/** The version that `source.version` carries: of the format, not of the package. */
export const formatVersion = '1';

/** A member of a JSON object: its name with the colon, and the JSON of its value. */
export type EventMember = {
  readonly index: number;
  readonly prefix: string;
  readonly encode: (text: string | null) => string;
  /** Whether `encode` does to each value what the column's encoder does: no mask, no other text of a key. */
  readonly isPlain: boolean;
  readonly refused: (error: unknown) => CdcError;
};

/** What an event is made of: its members, and the text that is the same in all events. */
export type EventParts = {
  readonly key: readonly EventMember[];
  readonly after: readonly EventMember[];
  /** Before and behind `source.ts_ms`; `sourceEnd` follows `snapshot` and its value. */
  readonly sourceStart: string;
  readonly sourceEnd: string;
};

export function eventParts({ database, table, prefix, columns, published, key, encodeColumn, keyText: keyTextOf }: EventShape): EventParts {
  const members = columns.map((column) => ({
    prefix: `${jsonString(column.name)}:`,
    encode: nullable(encodeColumn(column)),
    isPlain: true,
    refused: (error: unknown) => unreadableValue(error, table, column),
  }));
  const memberAt = (index: number): EventMember => {
    const member = members[index];
    if (member === undefined) throw new RangeError(`column ${index} of ${columns.length}`);
    return { ...member, index };
  };
  return {
    key: key.map((index) => {
      const member = memberAt(index);
      const column = columns[index];
      const canonical = column === undefined ? null : keyTextOf(column);
      return canonical === null
        ? member
        : { ...member, isPlain: false, encode: (text: string | null) => member.encode(text === null ? null : canonical(text)) };
    }),
    after: published.map(({ column, mask }) =>
      mask === null ? memberAt(column) : { ...memberAt(column), isPlain: false, encode: maskEncoder(mask) },
    ),
    sourceStart: `"source":{"version":"${formatVersion}","connector":"${queryConnector}","name":${jsonString(prefix)},"ts_ms":`,
    sourceEnd: `,"db":${jsonString(database)},"schema":${jsonString(table.schema)},"table":${jsonString(table.table)},"txId":`,
  };
}

export function createEventEncoder(shape: EventShape): JsonEncoder {
  const { timestamps, clock } = shape;
  const { key: keyMembers, after: afterMembers, sourceStart, sourceEnd } = eventParts(shape);
  const after = (row: RawRow): string => object(afterMembers, row);
  return {
    key: (row) => object(keyMembers, row),
    after,
    wireKey: (_row, ofRow) => ofRow,
    value(row, { op, txId, publishedAt }) {
      const changedAt = changedAtMillis(row, timestamps, clock);
      const snapshot = op === 'r' ? 'true' : 'false';
      return `{"before":null,"after":${after(row)},${sourceStart}${changedAt},"snapshot":"${snapshot}"${sourceEnd}${txId},"lsn":null},"transaction":null,"op":"${op}","ts_ms":${publishedAt}}`;
    },
    deletion: (seenAt) =>
      `{"before":null,"after":null,${sourceStart}${seenAt},"snapshot":"false"${sourceEnd}null,"lsn":null},"transaction":null,"op":"d","ts_ms":${seenAt}}`,
  };
}

/** `source.ts_ms`: null where no column has it. Metadata only: the exact value is in `after`. */
export function changedAtMillis(row: RawRow, timestamps: readonly number[], clock: WallClock | null): number | bigint | null {
  return millisOf(firstOf(row, timestamps), clock);
}

/** The first text among the columns that is not null. */
function firstOf(row: RawRow, columns: readonly number[]): string | null {
  for (const index of columns) {
    const text = row[index] ?? null;
    if (text !== null) return text;
  }
  return null;
}

function object(members: readonly EventMember[], row: RawRow): string {
  let text = '{';
  let current = members[0];
  try {
    for (const member of members) {
      current = member;
      text += `${text === '{' ? '' : ','}${member.prefix}${member.encode(row[member.index] ?? null)}`;
    }
  } catch (error) {
    throw current?.refused(error) ?? error;
  }
  return `${text}}`;
}

/** A value that is not what its column's type promises: the table waits with it, for no event could be true. The value itself may be a secret. */
export function unreadableValue(error: unknown, table: TableId, { name, type }: EventColumn): CdcError {
  if (error instanceof CdcError) return error;
  const what = `column "${name}" of table ${formatTableId(table)} holds a value that is none of type ${type.name}${type.isArray ? '[]' : ''}`;
  return new CdcError('VALUE_UNREADABLE', `${what} as the poller knows it`);
}

function nullable(encoder: ValueEncoder): (text: string | null) => string {
  return (text) => (text === null ? 'null' : encoder(text));
}

/** Milliseconds of a timestamp's text; `null` for infinities. */
export function millisOf(text: string | null, clock: WallClock | null): number | bigint | null {
  // Date.UTC takes the years 0 to 99 for those of another century.
  if (text !== null && clock === null && isPlainUtc(text) && !text.startsWith('0')) return plainMillis(text);
  const micros = text ? parseMicros(text) : null;
  if (micros === null) return null;
  const instant = clock === null ? micros : instantOf(clock, micros);
  return instant / 1000n - (instant % 1000n < 0n ? 1n : 0n);
}

/** As {@link parseMicros} of the same text, at a tenth of its cost. */
function plainMillis(text: string): number {
  const month = digits(text, 5, 7) - 1;
  const seconds = Date.UTC(
    digits(text, 0, 4),
    month,
    digits(text, 8, 10),
    digits(text, 11, 13),
    digits(text, 14, 16),
    digits(text, 17, 19),
  );
  const end = Math.min(text.length - 3, 23);
  return end <= 20 ? seconds : seconds + digits(text, 20, end) * 10 ** (23 - end);
}

function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at += 1) value = value * 10 + text.charCodeAt(at) - 48;
  return value;
}
