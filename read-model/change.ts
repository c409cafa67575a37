import { parseLossless, type EventDecoder, type JsonValue, type MessagePlace, type Row, type RowChange } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import { CdcError, describeError } from '#pipeline/index.ts';
import { lsnColumn } from './mirror-catalogue.ts';
import type { Mirror } from './mirror.ts';
import { addedType, type ColumnDemand } from './schema/column-demand.ts';
import { ColumnMismatchError, schemaChanged } from './schema/mismatch.ts';

/** A position of the source's log; null for an event whose strategy knows none. */
export type Lsn = number | bigint | null;

/** A column's value as a parameter of Postgres; undefined keeps what the stored row has (an unchanged TOAST column). */
export type CellText = string | null | undefined;

/**
 * What one event asks of its mirror. `key` tells rows of the mirror apart; `offset` is that of its message. An update of a row's key comes
 * as a delete that `moves` and, maybe in another partition, an upsert `movedFrom` the old key, both of one `lsn`.
 */
export type Change =
  | {
      readonly kind: 'upsert';
      readonly key: string;
      readonly cells: readonly CellText[];
      readonly lsn: Lsn;
      readonly offset: bigint;
      readonly movedFrom?: string;
    }
  | {
      readonly kind: 'delete';
      readonly key: string;
      readonly keyCells: readonly string[];
      readonly offset: bigint;
      readonly moves?: { readonly lsn: number | bigint };
    }
  | { readonly kind: 'truncate'; readonly lsn: Lsn; readonly offset: bigint };

export type ChangeReader = (message: ConsumedMessage, place: MessagePlace) => Change;

/** Debezium's headers of the two events that an update of a row's key becomes: the other one's key, as JSON. */
const oldKeyHeader = '__debezium.oldkey';
const newKeyHeader = '__debezium.newkey';

/**
 * Makes the reader of one mirror's events, whose schemas the decoder knows by then. `onDemand` hears what an event asks of the mirror's
 * columns: until that is done, its change may not be applied.
 *
 * The reader throws CdcError EVENT_UNDECODABLE; READ_MODEL_SCHEMA_CHANGED when a value is not of its column's type; or
 * READ_MODEL_EVENT_INAPPLICABLE.
 */
export function changeReader(decoder: EventDecoder, mirror: Mirror, onDemand: (demand: ColumnDemand) => void): ChangeReader {
  return (message, place) => {
    const event = decoder.decodeRowChange(message.value, place);
    try {
      if (event === null) return deletion(mirror, decoder.decodeKey(message.key, place), message.offset);
      if (event.op === 't') return { kind: 'truncate', lsn: event.lsn, offset: message.offset };
      if (event.op !== 'd') return withOldKey(mirror, upsert(mirror, event, message.offset, onDemand), message);
      const change = deletion(mirror, event.before() ?? decoder.decodeKey(message.key, place), message.offset);
      return event.lsn !== null && message.headers[newKeyHeader] !== undefined ? { ...change, moves: { lsn: event.lsn } } : change;
    } catch (error) {
      if (error instanceof CdcError) throw error;
      if (error instanceof ColumnMismatchError) throw schemaChanged(mirror, place, describeError(error), error);
      throw inapplicable(place, message.key === null ? null : decoder.text(message.key), describeError(error), error);
    }
  };
}

/** The error of an event that its mirror cannot take, naming where it stands and which row it is about. */
export function inapplicable(place: MessagePlace, key: string | null, why: string, cause?: unknown): CdcError {
  const { topic, partition, offset } = place;
  return new CdcError(
    'READ_MODEL_EVENT_INAPPLICABLE',
    `the event at topic ${topic}, partition ${partition}, offset ${offset}, key ${key ?? 'none'}, cannot be applied: ${why}`,
    { cause },
  );
}

type Upsert = Change & { readonly kind: 'upsert' };

function upsert(mirror: Mirror, { op, after, lsn }: RowChange, offset: bigint, onDemand: (demand: ColumnDemand) => void): Upsert {
  if (after === null) throw new TypeError(`op ${op} without after`);
  const cells: CellText[] = [];
  let present = 0;
  for (const column of mirror.columns) {
    const value = after[column.name];
    if (value !== undefined) present += 1;
    if (value === undefined || value === null) {
      // Dropped at the source, or null there by now.
      if (column.required) onDemand({ kind: 'nullable', column: column.name });
      cells.push(null);
    } else if (column.isUnavailable(value)) cells.push(undefined);
    else {
      if (column.widerFor !== null) {
        const type = wider(column.name, value, column.widerFor);
        if (type !== null) onDemand({ kind: 'widen', column: column.name, type });
      }
      cells.push(convert(column.name, value, column.toParameter));
    }
  }
  const names = Object.keys(after);
  if (names.length > present) demandColumns(mirror, names, after, onDemand);
  return { kind: 'upsert', key: keyOf(mirror, cells), cells, lsn, offset };
}

/** A column that the mirror lacks is asked for with its first value: until then it is null in every row, as a missing one. */
function demandColumns(mirror: Mirror, names: readonly string[], after: Row, onDemand: (demand: ColumnDemand) => void): void {
  for (const name of names) {
    const value = after[name];
    if (value === undefined || value === null || mirror.columnNames.has(name) || name === lsnColumn) continue;
    onDemand({ kind: 'add', column: name, type: addedType(value) });
  }
}

/** An upsert that leaves columns out and comes from another key knows where to find them. */
function withOldKey(mirror: Mirror, change: Upsert, message: ConsumedMessage): Upsert {
  const header = message.headers[oldKeyHeader];
  if (header === undefined || !change.cells.includes(undefined)) return change;
  const old = parseLossless(header);
  if (!isRow(old)) throw new TypeError(`header ${oldKeyHeader} is no JSON object`);
  return { ...change, movedFrom: deletion(mirror, old, message.offset).key };
}

function isRow(value: JsonValue): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function deletion(mirror: Mirror, row: Row | null, offset: bigint): Change & { readonly kind: 'delete' } {
  if (row === null) throw new TypeError('a delete without a key');
  const keyCells = mirror.key.map((index) => {
    const column = mirror.columns[index];
    const value = column === undefined ? undefined : row[column.name];
    return keyCell(
      mirror,
      index,
      column === undefined || value === undefined || value === null ? null : convert(column.name, value, column.toParameter),
    );
  });
  return { kind: 'delete', key: keyText(keyCells), keyCells, offset };
}

function convert(name: string, value: JsonValue, toParameter: (value: JsonValue) => string): string {
  try {
    return toParameter(value);
  } catch (error) {
    throw new ColumnMismatchError(`column ${name}: ${describeError(error)}`, { cause: error });
  }
}

function wider(name: string, value: JsonValue, widerFor: (value: JsonValue) => string | null): string | null {
  try {
    return widerFor(value);
  } catch (error) {
    throw new ColumnMismatchError(`column ${name}: ${describeError(error)}`, { cause: error });
  }
}

function keyCell(mirror: Mirror, index: number, cell: CellText): string {
  if (cell === null || cell === undefined) throw new ColumnMismatchError(`key column ${mirror.columns[index]?.name} has no value`);
  return cell;
}

function keyOf(mirror: Mirror, cells: readonly CellText[]): string {
  const [first = 0] = mirror.key;
  if (mirror.key.length === 1) return keyCell(mirror, first, cells[first]);
  return keyText(mirror.key.map((index) => keyCell(mirror, index, cells[index])));
}

function keyText(cells: readonly string[]): string {
  return cells.length === 1 ? (cells[0] ?? '') : JSON.stringify(cells);
}
