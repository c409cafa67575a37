import { decodeChangeEvent, decodeKey, type ChangeEvent, type JsonValue, type MessagePlace, type Row } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import { CdcError, describeError } from '#pipeline/index.ts';
import type { Mirror } from './mirror.ts';

/** A position of the source's log; null for an event whose strategy knows none. */
export type Lsn = number | bigint | null;

/** A column's value as a parameter of Postgres; undefined keeps what the stored row has (an unchanged TOAST column). */
export type CellText = string | null | undefined;

/** What one event asks of its mirror. `key` tells rows of the mirror apart; `offset` is for errors. */
export type Change =
  | { readonly kind: 'upsert'; readonly key: string; readonly cells: readonly CellText[]; readonly lsn: Lsn; readonly offset: bigint }
  | { readonly kind: 'delete'; readonly key: string; readonly keyCells: readonly string[]; readonly offset: bigint }
  | { readonly kind: 'truncate'; readonly lsn: Lsn; readonly offset: bigint };

export type ChangeReader = (message: ConsumedMessage, place: MessagePlace) => Change;

/**
 * Makes the reader of one mirror's events. `onUnknownColumn` hears, once per column, of what events have and the mirror lacks.
 *
 * The reader throws CdcError EVENT_UNDECODABLE, or READ_MODEL_EVENT_INAPPLICABLE when the event does not fit the mirror.
 */
export function changeReader(mirror: Mirror, onUnknownColumn: (column: string) => void): ChangeReader {
  const known = new Set(mirror.columnNames);
  return (message, place) => {
    const event = decodeChangeEvent(message.value, place);
    try {
      if (event === null) return deletion(mirror, decodeKey(message.key, place), message.offset);
      if (event.op === 't') return { kind: 'truncate', lsn: event.source.lsn ?? null, offset: message.offset };
      if (event.op === 'd') return deletion(mirror, event.before ?? decodeKey(message.key, place), message.offset);
      return upsert(mirror, event, message.offset, known, onUnknownColumn);
    } catch (error) {
      if (error instanceof CdcError) throw error;
      throw inapplicable(place, message.key?.toString() ?? null, describeError(error), error);
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

function upsert(mirror: Mirror, event: ChangeEvent, offset: bigint, known: Set<string>, onUnknownColumn: (column: string) => void): Change {
  const { after } = event;
  if (after === null) throw new TypeError(`op ${event.op} without after`);
  const cells: CellText[] = [];
  for (const column of mirror.columns) {
    const value = after[column.name];
    if (value === undefined) throw new TypeError(`the event has no column ${column.name}, which mirror ${mirror.table} has`);
    if (value === null) cells.push(null);
    else if (column.isUnavailable(value)) cells.push(undefined);
    else cells.push(convert(column.name, value, column.toParameter));
  }
  if (Object.keys(after).length > mirror.columns.length) {
    for (const name of Object.keys(after)) {
      if (known.has(name)) continue;
      known.add(name);
      onUnknownColumn(name);
    }
  }
  return {
    kind: 'upsert',
    key: keyText(mirror.key.map((index) => keyCell(mirror, index, cells[index]))),
    cells,
    lsn: event.source.lsn ?? null,
    offset,
  };
}

function deletion(mirror: Mirror, row: Row | null, offset: bigint): Change {
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
    throw new TypeError(`column ${name}: ${describeError(error)}`, { cause: error });
  }
}

function keyCell(mirror: Mirror, index: number, cell: CellText): string {
  if (cell === null || cell === undefined) throw new TypeError(`key column ${mirror.columns[index]?.name} has no value`);
  return cell;
}

function keyText(cells: readonly string[]): string {
  return cells.length === 1 ? (cells[0] ?? '') : JSON.stringify(cells);
}
