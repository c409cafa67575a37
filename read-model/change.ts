import {
  parseLossless,
  type EventDecoder,
  type JsonValue,
  type MessagePlace,
  type Row,
  type RowChange,
  type RowValues,
} from '#change-events/index.ts';
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
      /** Whether some cells keep what is stored. */
      readonly partial: boolean;
      readonly lsn: Lsn;
      readonly offset: bigint;
      /** The event calls the row new: a create, or a snapshot's read. It may be stored all the same. */
      readonly isNew: boolean;
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
  const upsert = upsertMaker(mirror, onDemand);
  return (message, place) => {
    const event = decoder.decodeRowChange(message.value, place);
    try {
      if (event === null) return deletion(mirror, decoder.decodeKey(message.key, place), message.offset);
      if (event.op === 't') return { kind: 'truncate', lsn: event.lsn, offset: message.offset };
      if (event.op !== 'd') return withOldKey(mirror, upsert(event, message.offset), message);
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

/** Where a row's values go: per column of the mirror their place among them, -1 for one that the row lacks. */
type Places = {
  readonly names: readonly string[];
  readonly columns: readonly number[];
  /** Places of values that no column takes. */
  readonly others: readonly number[];
};

function placesOf(mirror: Mirror, names: readonly string[]): Places {
  const columns = mirror.columns.map(({ name }) => names.indexOf(name));
  const others = names.flatMap((name, place) => (mirror.columnNames.has(name) || name === lsnColumn ? [] : [place]));
  return { names, columns, others };
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

/** Makes upserts of one mirror; remembers where the values of the last row went. */
function upsertMaker(mirror: Mirror, onDemand: (demand: ColumnDemand) => void): (change: RowChange, offset: bigint) => Upsert {
  const blank: readonly CellText[] = mirror.columns.map(() => null);
  let places = placesOf(mirror, []);
  return ({ op, after, lsn }, offset) => {
    if (after === null) throw new TypeError(`op ${op} without after`);
    const { names, values } = after;
    if (names !== places.names && !isSame(names, places.names)) places = placesOf(mirror, names);
    const cells = [...blank];
    let partial = false;
    for (let index = 0; index < cells.length; index += 1) {
      const column = mirror.columns[index];
      const value = values[places.columns[index] ?? -1];
      if (column === undefined) continue;
      if (value === undefined || value === null) {
        // Dropped at the source, or null there by now.
        if (column.required) onDemand({ kind: 'nullable', column: column.name });
      } else if (column.isUnavailable(value)) {
        partial = true;
        cells[index] = undefined;
      } else {
        if (column.widerFor !== null) {
          const type = wider(column.name, value, column.widerFor);
          if (type !== null) onDemand({ kind: 'widen', column: column.name, type });
        }
        cells[index] = convert(column.name, value, column.toParameter);
      }
    }
    if (places.others.length > 0) demandColumns(after, places.others, onDemand);
    return { kind: 'upsert', key: keyOf(mirror, cells), cells, partial, lsn, offset, isNew: op !== 'u' };
  };
}

/** A column that the mirror lacks is asked for with its first value: until then it is null in every row, as a missing one. */
function demandColumns({ names, values }: RowValues, others: readonly number[], onDemand: (demand: ColumnDemand) => void): void {
  for (const place of others) {
    const [name, value] = [names[place], values[place]];
    if (name !== undefined && value !== undefined && value !== null) onDemand({ kind: 'add', column: name, type: addedType(value) });
  }
}

/** An upsert that leaves columns out and comes from another key knows where to find them. */
function withOldKey(mirror: Mirror, change: Upsert, message: ConsumedMessage): Upsert {
  const header = message.headers[oldKeyHeader];
  if (header === undefined || !change.partial) return change;
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
