/**
 * Transaction ids. Postgres hands out 64-bit ids but stores the low 32 bits in a row (`xmin`), so that a row's id has to be widened
 * with the epoch of a snapshot. A bigint here is always the full id.
 */

const twoTo32 = 1n << 32n;
/** Ids below this one are no transactions: 1 wrote the catalogue, 2 marks rows frozen by pg_upgrade from before 9.4. */
const firstNormalXid = 3n;

/** What `pg_current_snapshot()` says: everything below `xmin` has ended; nothing at or past `xmax` has started. */
export type Snapshot = { readonly xmin: bigint; readonly xmax: bigint; readonly text: string };

/** Reads the text of a pg_snapshot: `xmin:xmax:xip,xip`. */
export function parseSnapshot(text: string): Snapshot {
  const [xmin, xmax] = text.split(':');
  if (!xmin || !xmax) throw new TypeError(`not a pg_snapshot: ${text}`);
  return { xmin: BigInt(xmin), xmax: BigInt(xmax), text };
}

/**
 * The full id of the transaction that wrote a row which is visible in a snapshot with this `xmax`. Whatever is visible is below xmax, so
 * the nearest id below it is meant. A row that was frozen more than 2^32 transactions ago looks younger than it is: it may be
 * published again, never lost.
 */
export function widenXid(xid32: bigint, xmax: bigint): bigint {
  if (xid32 < firstNormalXid) return 0n;
  const distance = (((xmax - 1n - xid32) % twoTo32) + twoTo32) % twoTo32;
  const wide = xmax - 1n - distance;
  return wide < 0n ? 0n : wide;
}

/** The low 32 bits, as `xid` columns and functions take them. */
export function narrowXid(xid: bigint): string {
  return (xid % twoTo32).toString();
}
