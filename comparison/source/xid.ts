/**
 * Transaction ids come 32 bits wide from the log and 64 bits wide from SQL (`xid8`). What is alive in one server fits into half of the
 * 32-bit circle, so the low half decides, as it does inside Postgres.
 */
const circle = 2n ** 32n;

export function sameXid(a: bigint, b: bigint): boolean {
  return lowXid(a) === lowXid(b);
}

/** Whether `a` was assigned before `b`, by Postgres's own circular comparison. */
export function precedes(a: bigint, b: bigint): boolean {
  const distance = BigInt.asUintN(32, b - a);
  return distance !== 0n && distance < circle / 2n;
}

/** What an `xid` column holds. */
export function lowXid(txId: bigint): bigint {
  return BigInt.asUintN(32, txId);
}
