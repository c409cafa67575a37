import { queryConnector, type Operation, type TableId } from '#change-events/index.ts';
import { encoderFor, isoTimestamp, type ColumnType, type ValueEncoder } from './value-encoders.ts';
import { jsonString } from './json-string.ts';

/** Raw texts of a row's columns in the table's order; null is SQL's NULL. */
export type RawRow = readonly (string | null)[];

export type EventColumn = { readonly name: string; readonly type: ColumnType };

export type EventShape = {
  readonly database: string;
  readonly table: TableId;
  /** The topic prefix: Debezium's `source.name`. */
  readonly prefix: string;
  /** All columns in the table's order. */
  readonly columns: readonly EventColumn[];
  /** Indexes in `columns` of the key's columns. */
  readonly key: readonly number[];
  /** Index of the timestamp column: its value becomes `source.ts_ms`. */
  readonly timestamp: number;
};

/** Writes a table's events. Made once per table shape, so that a row costs no look-up. */
export type EventEncoder = {
  /** `{"id":1}` */
  key(row: RawRow): string;
  /** The envelope. `txId` is the row's xmin, as Debezium gives it: 32 bits. `publishedAt` in ms since the epoch. */
  value(row: RawRow, event: { readonly op: Operation; readonly txId: string; readonly publishedAt: number }): string;
};

/** The version that `source.version` carries: of the format, not of the package. */
const formatVersion = '1';

export function createEventEncoder({ database, table, prefix, columns, key, timestamp }: EventShape): EventEncoder {
  const members = columns.map(({ name, type }) => ({ prefix: `${jsonString(name)}:`, encode: encoderFor(type) }));
  const keyMembers = key.map((index) => ({ index, member: members[index] }));
  const sourceStart = `"source":{"version":"${formatVersion}","connector":"${queryConnector}","name":${jsonString(prefix)},"ts_ms":`;
  const sourceEnd = `,"db":${jsonString(database)},"schema":${jsonString(table.schema)},"table":${jsonString(table.table)},"txId":`;
  return {
    key(row) {
      let text = '{';
      for (const { index, member } of keyMembers) {
        if (member === undefined) throw new RangeError(`key column ${index}`);
        text += `${text === '{' ? '' : ','}${member.prefix}${encode(member.encode, row[index])}`;
      }
      return `${text}}`;
    },
    value(row, { op, txId, publishedAt }) {
      let after = '';
      for (let index = 0; index < members.length; index += 1) {
        const member = members[index];
        if (member !== undefined) after += `${index === 0 ? '' : ','}${member.prefix}${encode(member.encode, row[index])}`;
      }
      const changedAt = millisOf(row[timestamp]);
      const snapshot = op === 'r' ? 'true' : 'false';
      return `{"before":null,"after":{${after}},${sourceStart}${changedAt},"snapshot":"${snapshot}"${sourceEnd}${txId},"lsn":null},"transaction":null,"op":"${op}","ts_ms":${publishedAt}}`;
    },
  };
}

function encode(encoder: ValueEncoder, text: string | null | undefined): string {
  return text === null || text === undefined ? 'null' : encoder(text);
}

/** Milliseconds of a timestamp's text; `null` for infinities. Metadata only: the exact value stands in `after`. */
function millisOf(text: string | null | undefined): string {
  const millis = text ? Date.parse(isoTimestamp(text).replace(/(\.\d{3})\d+/, '$1')) : Number.NaN;
  return Number.isNaN(millis) ? 'null' : millis.toString();
}
