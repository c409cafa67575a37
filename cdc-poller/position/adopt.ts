import { CdcError } from '#pipeline/index.ts';
import { beginning } from '../fence/floor.ts';
import { refuseOtherHistory, type ServerHistory } from './history.ts';
import type { Basis, Position, Relation } from './position.ts';

/** What a table and its server are now, to go on from a position with. */
export type Present = ServerHistory & {
  readonly table: string;
  readonly basis: Basis;
  /** Null for a query. */
  readonly relation: Relation | null;
  /** Whether another file of the same table (TRUNCATE, a rewrite) asks for all of it to be read once. */
  readonly rescanRewritten: boolean;
  /** The id that the table gives next, by which a window on ids notices that the table was emptied. */
  readonly nextId: bigint | null;
};

/**
 * The position to go on from in the table as it is now, null to load it. Pure.
 *
 * A table that was dropped and made again, or renamed over, is another one: all its rows are new whatever their timestamps and transactions, so the
 * floor falls to the beginning for one poll, and there is no horizon. After TRUNCATE, where asked for, the floor falls too, as ids may begin again, and
 * the horizon decides which rows are new.
 * Where ids begin again below a window on them, everything is loaded again. In the middle of a load there is no horizon yet, and the load begins again.
 *
 * @throws CdcError SOURCE_CHANGED, TABLE_CHANGED
 */
export function adoptPosition(position: Position | null, present: Present): Position | null {
  if (position === null) return null;
  refuseOtherHistory(position, present);
  refuseOtherBasis(position, present);
  const adopted: Position = { ...position, basis: present.basis, relation: present.relation };
  if (present.nextId !== null && position.high !== null && present.nextId <= position.high) return null;
  const { relation: was } = position;
  const { relation: is } = present;
  if (was === null || is === null) return adopted;
  const isOther = was.oid !== is.oid;
  if (!isOther && (was.file === is.file || !present.rescanRewritten)) return adopted;
  if (present.basis.capture === 'whole') return isOther ? { ...adopted, pass: null } : adopted;
  if (position.pass?.kind === 'load') return null;
  const rescanned: Position = { ...adopted, floor: beginning, high: null };
  // Of another table, nothing has been read yet: neither the pass nor the repair means it, and no transaction is behind it, for the table may have
  // been filled long before it was given this name. Transactions that are still open hold the floor down until they have ended, as always. Of a
  // rewritten one, both may have been half-way: they go on.
  return isOther ? { ...rescanned, horizon: null, pass: null, repair: null } : rescanned;
}

function refuseOtherBasis({ basis: was, pass }: Position, { table, basis: is }: Present): void {
  if (was === null) return;
  const remedy = `Put it back, or run cdc poller reset --table ${table}, which loads the table again.`;
  const refuse = (what: string, before: string, now: string): never => {
    throw new CdcError('TABLE_CHANGED', `the position of table ${table} was made with ${what} ${before}; now it is ${now}`, { remedy });
  };
  if (was.capture !== is.capture) refuse('capture by', was.capture, is.capture);
  if (!isSame(was.by, is.by)) refuse(`${was.capture} from`, list(was.by), list(is.by));
  if (!isSame(was.key, is.key)) refuse('the key', list(was.key), list(is.key));
  // Between passes the order of pages has no memory.
  if (pass !== null && !isSame(was.order, is.order)) refuse('pages ordered by', list(was.order), list(is.order));
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index]);
}

function list(names: readonly string[]): string {
  return `(${names.join(', ')})`;
}
