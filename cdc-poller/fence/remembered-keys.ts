/**
 * Row versions that were published although their transaction is at or past the horizon: a poll would meet them again, since the
 * horizon has not passed them. Held per transaction, so that to forget is to drop whole transactions.
 */
export class RememberedKeys {
  readonly #keysByXid = new Map<bigint, Set<string>>();
  #size = 0;

  /** Number of (key, transaction) pairs. */
  get size(): number {
    return this.#size;
  }

  has(xid: bigint, key: string): boolean {
    return this.#keysByXid.get(xid)?.has(key) ?? false;
  }

  add(xid: bigint, key: string): void {
    let keys = this.#keysByXid.get(xid);
    if (keys === undefined) {
      keys = new Set();
      this.#keysByXid.set(xid, keys);
    }
    if (keys.has(key)) return;
    keys.add(key);
    this.#size += 1;
  }

  /** Drops every transaction below the horizon: no poll looks at those again. */
  forgetBelow(horizon: bigint): void {
    for (const [xid, keys] of this.#keysByXid) {
      if (xid >= horizon) continue;
      this.#size -= keys.size;
      this.#keysByXid.delete(xid);
    }
  }

  clear(): void {
    this.#keysByXid.clear();
    this.#size = 0;
  }

  *entries(): IterableIterator<readonly [xid: bigint, keys: ReadonlySet<string>]> {
    yield* this.#keysByXid;
  }
}
