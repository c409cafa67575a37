import type { Heartbeat } from '#change-events/index.ts';

/** The latest heartbeats of a model's capture. Pure bookkeeping. */
export class Heartbeats {
  readonly #byTable = new Map<string, number>();
  #whole: number | null = null;

  note({ table, provenTo }: Heartbeat): void {
    if (table === null) this.#whole = Math.max(this.#whole ?? provenTo, provenTo);
    else this.#byTable.set(table, Math.max(this.#byTable.get(table) ?? provenTo, provenTo));
  }

  /**
   * The time before which every change of these tables (`schema.table`) is in Kafka, in ms since the epoch of the source's clock. Null while
   * one of them has never been spoken of.
   */
  provenTo(tables: readonly string[]): number | null {
    if (this.#whole !== null) return this.#whole;
    const times = tables.map((table) => this.#byTable.get(table) ?? null).filter((time) => time !== null);
    return times.length < tables.length || times.length === 0 ? null : Math.min(...times);
  }
}
