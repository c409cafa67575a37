import { escapeLiteral } from 'pg';
import { ownMember, type CdcError } from '#pipeline/index.ts';
import { queryText, text, type Database, type TextRow } from '../database.ts';
import { arrayLiteral } from '../decode/values/array-literal.ts';
import type { Mirror } from '../mirrors/mirror.ts';
import type { Projection, Touch } from './projection.ts';
import { savepoint } from '../parking/savepoint.ts';
import { makeRows, orHalts } from './projection-faults.ts';

/** Rows of a mirror that a batch changes: their primary keys, and whether all older ones are removed besides. */
export type ChangedRows = {
  readonly mirror: Mirror;
  readonly truncated: boolean;
  readonly keys: readonly (readonly (string | null)[])[];
};

/** Makes the views follow, once the mirrors are written. */
export type ViewsAfter = () => Promise<void>;

type Views = {
  readonly schema: string;
  readonly projections: readonly Projection[];
  readonly onFault?: ((error: CdcError) => void) | undefined;
};

/** Keys of a view, each once. */
type Keys = Map<string, TextRow>;

/**
 * Keeps the views that hang on changed rows, inside the caller's transaction. Called before the rows change, since a row that leaves a key
 * must touch it; gives what is to be done after they have.
 *
 * Two transactions that touch one view's row must not each miss what the other has not committed yet, so only one at a time keeps a view.
 * Its lock is held until commit, and each statement after it sees all that was committed before: the last one to make a row sees all it is
 * made of. If finding what is touched takes more than one table, the lock comes before the first question: what another transaction
 * commits between the two answers could hide a row from both.
 */
export async function beforeViews(client: Database, views: Views, changed: readonly ChangedRows[]): Promise<ViewsAfter> {
  const hanging = views.projections.filter((projection) => changed.some(({ mirror }) => hangsOn(projection, mirror)));
  if (hanging.length === 0) return async () => undefined;
  const rows = changed.map((one) => ({ ...one, parameters: parametersOf(one) }));
  const early = hanging.some((projection) =>
    rows.some(({ mirror }) => touchesOf(projection, mirror).some((touch) => 'joins' in touch && touch.joins)),
  );
  const asking = hanging.filter((projection) => rows.some((row) => asksOfTouched(projection, row)));
  const faults = asking.length === 0 ? [] : await queryText(client, 'SELECT projection FROM projection_faults');
  const halted = new Set(faults.map((row) => text(row, 0)));
  if (early)
    for (const projection of hanging) halted[(await lockView(client, views.schema, projection)) ? 'add' : 'delete'](projection.name);
  const before = new Map<Projection, Keys>();
  for (const projection of hanging) {
    if (halted.has(projection.name)) continue;
    const keys: Keys = new Map();
    const find = (): Promise<void> => addTouched(client, projection, rows, keys);
    // What asks nothing cannot fail, and finds the same whether the view is halted or not.
    const error = asking.includes(projection) ? await orHalts(client, projection, null, find) : await find().then(() => null);
    if (error === null) before.set(projection, keys);
    else views.onFault?.(error);
  }
  return async () => {
    for (const projection of hanging) {
      // A savepoint that is not used ends with the transaction.
      if (await lockView(client, views.schema, projection, savepoint)) continue;
      const keys: Keys = before.get(projection) ?? new Map();
      const columns: string[] = [];
      const make = async (): Promise<void> => {
        // It was halted when its rows were still as before, and was made again since, without what is not committed here.
        if (!before.has(projection)) addKeys(keys, await queryText(client, projection.allKeys));
        await addTouched(client, projection, rows, keys);
        columns.push(...keyArrays(projection, [...keys.values()]));
        if (keys.size > 0) await makeRows(client, projection, columns, keys.size);
      };
      const error = await orHalts(client, projection, columns, make, true);
      if (error !== null) views.onFault?.(error);
    }
  };
}

/**
 * Waits until no other transaction keeps the view; returns whether it is halted. `then` is SQL that is run after that, in the same round trip. Each
 * statement sees what was committed while the one before it waited.
 */
export async function lockView(client: Database, schema: string, { name }: Projection, then?: string): Promise<boolean> {
  const lock = `SELECT pg_advisory_xact_lock(hashtextextended(${escapeLiteral(`read-model ${schema}.${name}`)}, 0))`;
  const fault = `SELECT FROM projection_faults WHERE projection = ${escapeLiteral(name)}`;
  // Of several statements, pg gives a list of results.
  const results: unknown = await client.query([lock, fault, ...(then === undefined ? [] : [then])].join('; '));
  const found: unknown = Array.isArray(results) ? results[1] : undefined;
  if (typeof found !== 'object' || found === null || !('rowCount' in found)) throw new TypeError('pg gave no list of results');
  return found.rowCount !== 0;
}

/** Keys as one array for each of their columns. */
export function keyArrays({ key }: Projection, keys: readonly TextRow[]): string[] {
  return key.map((_, column) => arrayLiteral(keys.map((row) => row[column] ?? null)));
}

function hangsOn({ reads }: Projection, { table }: Mirror): boolean {
  return reads.includes(table);
}

function touchesOf({ touchedBy }: Projection, { table }: Mirror): readonly Touch[] {
  return ownMember(touchedBy, table) ?? [];
}

/** Whether the database must be asked which rows of the view a change touches. */
function asksOfTouched(projection: Projection, { mirror, truncated, keys }: ChangedRows): boolean {
  return hangsOn(projection, mirror) && (truncated || (keys.length > 0 && touchesOf(projection, mirror).some((touch) => 'sql' in touch)));
}

/** The columns of the primary keys, as arrays. */
function parametersOf({ mirror, keys }: ChangedRows): readonly string[] {
  return mirror.key.map((_, column) => arrayLiteral(keys.map((key) => key[column] ?? null)));
}

async function addTouched(
  client: Database,
  projection: Projection,
  rows: readonly (ChangedRows & { readonly parameters: readonly string[] })[],
  keys: Keys,
): Promise<void> {
  for (const { mirror, truncated, keys: changed, parameters } of rows) {
    if (!hangsOn(projection, mirror)) continue;
    if (truncated) addKeys(keys, await queryText(client, projection.allKeys));
    if (changed.length === 0) continue;
    for (const touch of touchesOf(projection, mirror)) {
      if ('sql' in touch) addKeys(keys, await queryText(client, touch.sql, parameters));
      else
        addKeys(
          keys,
          changed.map((key) => touch.ownKey.map((column) => key[column] ?? null)),
        );
    }
  }
}

/** A key with a null is none: no row of the view has it. */
function addKeys(keys: Keys, rows: readonly TextRow[]): void {
  for (const row of rows) {
    if (row.includes(null)) continue;
    keys.set(row.length === 1 ? text(row, 0) : JSON.stringify(row), row);
  }
}
