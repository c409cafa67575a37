import { CdcError } from '#pipeline/index.ts';
import { ledgerDigest, ledgerKey, type LedgerRow } from '../canonical/image.ts';
import type { TableShape } from '../canonical/shape.ts';
import type { LedgerChange } from '../events/match-key.ts';
import type { Session, TextRow } from './session.ts';
import type { Window } from './window.ts';

/** One table's part of the ledger. */
export type LedgerTable = {
  /** In the order in which the changes were made. */
  readonly changes: readonly LedgerChange[];
  /** Truncates in the window. */
  readonly truncates: number;
};

export type ReadLedgerOptions = {
  readonly shapes: readonly TableShape[];
  readonly window: Window;
  /** Per table: the sets of columns that some event lacks. */
  readonly missingColumns: ReadonlyMap<string, readonly (readonly string[])[]>;
  readonly maxChanges: number;
};

/** Every value of a jsonb object as text, numeric scale and all. */
const texts = (column: string): string => `(SELECT json_object_agg(key, value)::text FROM jsonb_each_text(${column}))`;

const changesSql = `
  SELECT op, table_schema || '.' || table_name, ${texts('before')}, ${texts('after')}, txid::text,
         (NOT pg_visible_in_snapshot(txid, $1::pg_snapshot) AND pg_visible_in_snapshot(txid, $2::pg_snapshot))::text
    FROM ledger.changes
   WHERE txid >= least(pg_snapshot_xmin($1::pg_snapshot), $4::xid8) AND table_schema || '.' || table_name = ANY ($3::text[])
   ORDER BY seq`;

/**
 * Makes sure that the ledger is there and watches every table.
 *
 * @throws CdcError LEDGER_MISSING
 */
export async function requireLedger(session: Session, shapes: readonly TableShape[]): Promise<void> {
  const [present] = await session.rows(`SELECT to_regclass('ledger.changes')::text`);
  if (present?.[0] === null || present === undefined)
    throw new CdcError('LEDGER_MISSING', 'the legacy database has no ledger (ledger.changes), so nothing says what really happened in it');
  const watched = await session.rows(
    `SELECT n.nspname || '.' || c.relname
       FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE t.tgname = 'ledger_row' AND t.tgenabled <> 'D'`,
  );
  const names = new Set(watched.map(([name]) => name));
  const unwatched = shapes.filter(({ id }) => !names.has(id)).map(({ id }) => id);
  if (unwatched.length > 0) throw new CdcError('LEDGER_MISSING', `the ledger does not watch ${unwatched.join(', ')}`);
}

/**
 * Reads the changes of the window, and those around it that may explain an event at its edges.
 *
 * @throws CdcError COMPARISON_TOO_LARGE when there are more than `maxChanges`
 */
export async function readLedger(session: Session, options: ReadLedgerOptions): Promise<ReadonlyMap<string, LedgerTable>> {
  const { shapes, window, missingColumns, maxChanges } = options;
  const readers = new Map(shapes.map((shape) => [shape.id, new LedgerReader(shape, missingColumns.get(shape.id) ?? [])]));
  let count = 0;
  await session.readOnly(async () => {
    for await (const row of session.stream(changesSql, [
      window.start,
      window.end,
      shapes.map(({ id }) => id),
      String(window.publishedBelow),
    ])) {
      count += 1;
      if (count > maxChanges)
        throw new CdcError('COMPARISON_TOO_LARGE', `the ledger holds more than ${maxChanges} changes for the time of this comparison`);
      readers.get(row[1] ?? '')?.add(row);
    }
  });
  return new Map([...readers].map(([id, reader]) => [id, reader.finish()]));
}

/** Turns ledger rows of one table into changes; a change of the primary key is a delete of the old key and an insert of the new. */
class LedgerReader {
  readonly #shape: TableShape;
  readonly #missing: readonly (readonly string[])[];
  readonly #changes: PendingChange[] = [];
  /** Per key its latest change, which the next one of the same transaction makes an intermediate. */
  readonly #latest = new Map<string, { readonly change: PendingChange; readonly firstOp: LedgerChange['op'] }>();
  #truncates = 0;

  constructor(shape: TableShape, missing: readonly (readonly string[])[]) {
    this.#shape = shape;
    this.#missing = missing;
  }

  add([op, , beforeText, afterText, txId, inWindow]: TextRow): void {
    const common = { txId: BigInt(txId ?? '0'), inWindow: inWindow === 'true' };
    if (op === 't') {
      if (common.inWindow) this.#truncates += 1;
      return;
    }
    const before = parseRow(beforeText);
    const after = parseRow(afterText);
    const beforeDigest = before === null ? null : ledgerDigest(this.#shape, before);
    const beforeKey = before === null ? null : ledgerKey(this.#shape, before);
    const afterKey = after === null ? null : ledgerKey(this.#shape, after);
    if (beforeKey !== null && beforeKey !== afterKey)
      this.#push({ ...common, key: beforeKey, op: 'd', after: null, before: beforeDigest, partialAfter: noDigests, committed: true });
    if (after === null || afterKey === null) return;
    this.#push({
      ...common,
      key: afterKey,
      op: beforeKey === afterKey ? 'u' : 'c',
      after: ledgerDigest(this.#shape, after),
      before: beforeKey === afterKey ? beforeDigest : null,
      partialAfter:
        this.#missing.length === 0
          ? noDigests
          : new Map(this.#missing.map((columns) => [columns.join(','), ledgerDigest(this.#shape, after, columns)])),
      committed: true,
    });
  }

  finish(): LedgerTable {
    return { changes: this.#changes, truncates: this.#truncates };
  }

  #push(change: PendingChange): void {
    const previous = this.#latest.get(change.key);
    // The row's lock keeps other transactions from writing in between, so a key's changes of one transaction follow each other.
    const continued = previous !== undefined && previous.change.txId === change.txId;
    if (continued) previous.change.committed = false;
    const firstOp = continued ? previous.firstOp : change.op;
    // Made and deleted in one transaction: nobody saw it come, nobody can miss its going.
    if (change.op === 'd' && firstOp === 'c') change.committed = false;
    this.#latest.set(change.key, { change, firstOp });
    this.#changes.push(change);
  }
}

type PendingChange = LedgerChange & { committed: boolean };

const noDigests: ReadonlyMap<string, string> = new Map();

function parseRow(text: string | null | undefined): LedgerRow | null {
  if (text === null || text === undefined) return null;
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null) return null;
  return Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, value === null ? null : String(value)]));
}
