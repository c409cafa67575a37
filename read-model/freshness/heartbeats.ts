import type { Heartbeat } from '#change-events/index.ts';

/** Messages of the heartbeats' topic that prove nothing, since the model was made. */
export type PassedOver = {
  /** No heartbeat: junk, or another program's. */
  readonly unreadable: number;
  /** Heartbeats with a time that was in the future when they were written. */
  readonly ahead: number;
  /** By how much the last one of those was ahead, in ms; 0 when there was none. */
  readonly aheadMs: number;
};

/** What is known of a model's heartbeats: all of it, so that a model that starts again goes on with it. */
export type Heard = {
  /** By partition, the offset to read next. */
  readonly next: readonly (readonly [partition: number, offset: bigint])[];
  /** `schema.table` and the ms since the epoch that it is proven to. */
  readonly tables: readonly (readonly [table: string, provenTo: number])[];
  /** The same of all tables at once; null when none has said so. */
  readonly whole: number | null;
  readonly passedOver: PassedOver;
};

export const nothingHeard: Heard = { next: [], tables: [], whole: null, passedOver: { unreadable: 0, ahead: 0, aheadMs: 0 } };

/** Clocks of two machines that are kept right differ by less. */
const toleranceMs = 2000;

export type HeartbeatsOptions = {
  /** Those of the model, `schema.table`; what is said of others is not kept. */
  readonly tables: readonly string[];
  /** How far the source's clock is known to be ahead. */
  readonly clockAheadMs?: number;
  readonly heard?: Heard;
};

/**
 * The latest heartbeats of a model's capture. Pure bookkeeping.
 *
 * A heartbeat carries a time of the source's clock, and that clock may be wrong. It was written before it could be read, so a time that is later than
 * its own time stamp, or than now, had not come yet: such a heartbeat proves nothing. It is passed over, and the ones after it are judged for themselves.
 */
export class Heartbeats {
  readonly #byTable = new Map<string, number>();
  readonly #next = new Map<number, bigint>();
  readonly #tables: ReadonlySet<string>;
  readonly #clockAheadMs: number;
  #whole: number | null;
  #passedOver: PassedOver;

  constructor({ tables, clockAheadMs = 0, heard = nothingHeard }: HeartbeatsOptions) {
    this.#tables = new Set(tables);
    this.#clockAheadMs = clockAheadMs;
    this.#whole = heard.whole;
    this.#passedOver = heard.passedOver;
    for (const [table, provenTo] of heard.tables) if (this.#tables.has(table)) this.#byTable.set(table, provenTo);
    for (const [partition, offset] of heard.next) this.#next.set(partition, offset);
  }

  /** A message that was written at `stampedAt` (negative where it is not known) and read at `readAt`; null when it is no heartbeat. */
  note(beat: Heartbeat | null, { stampedAt, readAt }: { readonly stampedAt: number; readonly readAt: number }): void {
    if (beat === null) {
      this.#passedOver = { ...this.#passedOver, unreadable: this.#passedOver.unreadable + 1 };
      return;
    }
    const { table } = beat;
    const latest = stampedAt < 0 ? readAt : Math.min(stampedAt, readAt);
    const said = beat.provenTo - this.#clockAheadMs;
    if (said > latest + toleranceMs) {
      this.#passedOver = { ...this.#passedOver, ahead: this.#passedOver.ahead + 1, aheadMs: said - latest };
      return;
    }
    const provenTo = Math.min(said, latest);
    if (table === null) this.#whole = later(this.#whole, provenTo);
    else if (this.#tables.has(table)) this.#byTable.set(table, later(this.#byTable.get(table) ?? null, provenTo));
  }

  /** Everything of the partition before the offset was noted. */
  readTo(partition: number, offset: bigint): void {
    this.#next.set(partition, offset);
  }

  /** The offset to read next, where one is known. */
  next(partition: number): bigint | undefined {
    return this.#next.get(partition);
  }

  get passedOver(): PassedOver {
    return this.#passedOver;
  }

  heard(): Heard {
    return { next: [...this.#next], tables: [...this.#byTable], whole: this.#whole, passedOver: this.#passedOver };
  }

  /**
   * The time before which every change of these tables (`schema.table`) is in Kafka, in ms since the epoch of the source's clock. Null while
   * one of them has never been spoken of.
   */
  provenTo(tables: readonly string[]): number | null {
    if (tables.length === 0) return this.#whole;
    const times = tables.map((table) => latestOf(this.#byTable.get(table) ?? null, this.#whole)).filter((time) => time !== null);
    return times.length < tables.length ? null : Math.min(...times);
  }
}

/**
 * Heartbeats come in the order of the commits. One that says an earlier time than the one before shows that the clock was ahead until then, by
 * less than capture was late: so the later word holds. A small step back takes nothing back.
 */
function later(known: number | null, said: number): number {
  return known === null || said < known - toleranceMs ? said : Math.max(known, said);
}

function latestOf(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.max(one, other);
}
