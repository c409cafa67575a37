/** How many cases there are, and the first keys they concern (each once): enough to look one up, small enough for a report. */
export type KeyList = { readonly count: number; readonly keys: readonly string[] };

/** Counts cases and remembers the first `limit` distinct keys. */
export class KeyCollector {
  readonly #limit: number;
  readonly #keys = new Set<string>();
  #count = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(key: string, cases = 1): void {
    if (cases === 0) return;
    this.#count += cases;
    if (this.#keys.size < this.#limit) this.#keys.add(key);
  }

  list(): KeyList {
    return { count: this.#count, keys: [...this.#keys] };
  }
}
