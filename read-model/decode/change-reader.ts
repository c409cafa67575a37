import {
  parseLossless,
  toRowChange,
  type EventDecoder,
  type JsonValue,
  type MessagePlace,
  type Row,
  type RowChange,
  type RowValues,
} from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import { CdcError, describeError, ownMember } from '#pipeline/index.ts';
import { lsnColumn } from '../mirrors/own-columns.ts';
import { ColumnMismatchError, toCell } from './values/parameter.ts';
import { withOrigin } from './origin.ts';
import type { CellText, Change } from './change.ts';
import type { Mirror } from '../mirrors/mirror.ts';
import { addedType, columnsMost, demandName, unfitName, type ColumnDemand } from '../mirrors/column-demand.ts';
import { ColumnUnfitError, columnUnfit, schemaChanged } from '../mirrors/mismatch.ts';

export type ChangeReader = (message: ConsumedMessage, place: MessagePlace) => Change;

/** Debezium's headers of the two events that an update of a row's key becomes: the other one's key, as JSON. */
const oldKeyHeader = '__debezium.oldkey';
const newKeyHeader = '__debezium.newkey';

/**
 * Makes the reader of one mirror's events, whose schemas the decoder knows by then. `onDemand` hears what an event asks of the mirror's
 * columns: until that is done, its change may not be applied.
 *
 * The reader throws CdcError EVENT_UNDECODABLE; READ_MODEL_SCHEMA_CHANGED when a value is not of its column's type; READ_MODEL_COLUMN_UNFIT
 * when it has a column that the mirror cannot get; or READ_MODEL_EVENT_INAPPLICABLE.
 */
export function changeReader(decoder: EventDecoder, mirror: Mirror, onDemand: (demand: ColumnDemand) => void): ChangeReader {
  const upsert = upsertMaker(mirror, (demands) => {
    for (const demand of demands) {
      const refusal = mirror.refusals?.get(demandName(demand));
      if (refusal !== undefined) throw new ColumnUnfitError(refusal.why, refusal.remedy);
    }
    for (const demand of demands) onDemand(demand);
  });
  const plain = (message: ConsumedMessage, place: MessagePlace, event: RowChange | null): Change => {
    if (event === null) return deletion(mirror, decoder.decodeKey(message.key, place), message.offset);
    if (event.op === 't') return { kind: 'truncate', lsn: event.lsn, offset: message.offset };
    if (event.op !== 'd') return withOldKey(mirror, upsert(event, message.offset), message);
    const change = deletion(mirror, event.before() ?? decoder.decodeKey(message.key, place), message.offset);
    return event.lsn !== null && message.headers[newKeyHeader] !== undefined ? { ...change, moves: { lsn: event.lsn } } : change;
  };
  const keepsOrigin = mirror.history || mirror.deletes === 'mark';
  return (message, place) => {
    // Read once: either what becomes of the row, or all of it.
    const whole = keepsOrigin ? decoder.decodeChangeEvent(message.value, place) : null;
    const event = keepsOrigin ? whole && toRowChange(whole) : decoder.decodeRowChange(message.value, place);
    try {
      const change = plain(message, place, event);
      return keepsOrigin ? withOrigin(mirror, change, whole) : change;
    } catch (error) {
      if (error instanceof CdcError) throw error;
      if (error instanceof ColumnUnfitError) throw columnUnfit(mirror, place, error);
      if (error instanceof ColumnMismatchError) throw schemaChanged(mirror, place, describeError(error), error);
      throw inapplicable(place, message.key === null ? null : decoder.text(message.key), describeError(error), error);
    }
  };
}

/** The error of an event that its mirror cannot take, naming its place and its row. */
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
  if (!mirror.follows) return { names, columns, others: [] };
  const others = names.flatMap((name, place) => (mirror.columnNames.has(name) || mirror.ignored?.has(name) === true ? [] : [place]));
  return { names, columns, others };
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

type OnDemands = (demands: readonly ColumnDemand[]) => void;

/** Makes upserts of one mirror; remembers where the values of the last row went. */
function upsertMaker(mirror: Mirror, onDemands: OnDemands): (change: RowChange, offset: bigint) => Upsert {
  const added = new Set<string>();
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
        if (column.required) onDemands([{ kind: 'nullable', column: column.name }]);
      } else if (column.isUnavailable(value)) {
        partial = true;
        cells[index] = undefined;
      } else {
        if (column.widerFor !== null) {
          const type = wider(column.name, value, column.widerFor);
          if (type !== null) onDemands([{ kind: 'widen', column: column.name, type }]);
        }
        cells[index] = toCell(column.name, value, column.toParameter);
      }
    }
    if (places.others.length > 0) demandColumns(mirror, after, places.others, added, onDemands);
    return { kind: 'upsert', key: keyOf(mirror, cells), cells, partial, lsn, offset, isNew: op !== 'u' };
  };
}

/**
 * A column that the mirror lacks is asked for with its first value: until then it is null in every row, as a missing one. All that an event asks for, or
 * nothing: what cannot be applied leaves no columns behind.
 *
 * @param added what earlier events have asked for, which has its room too
 * @throws ColumnUnfitError
 */
function demandColumns(
  mirror: Mirror,
  { names, values }: RowValues,
  others: readonly number[],
  added: Set<string>,
  onDemands: OnDemands,
): void {
  const demands: ColumnDemand[] = [];
  let more = 0;
  for (const place of others) {
    const [name, value] = [names[place], values[place]];
    if (name === undefined || value === undefined || value === null) continue;
    const unfit = name === lsnColumn ? `the mirror has a column ${lsnColumn} of its own` : unfitName(name);
    if (unfit !== null) throw new ColumnUnfitError(unfit);
    demands.push({ kind: 'add', column: name, type: addedType(value) });
    if (!added.has(name)) more += 1;
  }
  const columns = mirror.columnsSpent + added.size + more;
  if (more > 0 && columns > columnsMost)
    throw new ColumnUnfitError(
      `with the ${more} that it lacks the mirror would have ${columns} columns, and Postgres takes ${columnsMost}`,
    );
  onDemands(demands);
  for (const { column } of demands) added.add(column);
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
    const value = column === undefined ? undefined : ownMember(row, column.name);
    return keyCell(
      mirror,
      index,
      column === undefined || value === undefined || value === null ? null : toCell(column.name, value, column.toParameter),
    );
  });
  return { kind: 'delete', key: keyText(keyCells), keyCells, offset };
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
