import type { ConsumedMessage } from '../port.ts';

/** What the records of a batch count from. */
export type RecordBase = {
  readonly offset: number;
  readonly timestamp: number;
  /** All records have this timestamp, when the broker gives it. */
  readonly appendTime: number | null;
};

/** Where a record's parts are in its bytes; a key or value that begins at -1 is null. */
export type RecordParts = {
  readonly offsetDelta: number;
  readonly timestampDelta: number;
  readonly keyAt: number;
  readonly keyEnd: number;
  readonly valueAt: number;
  readonly valueEnd: number;
};

const noHeaders: Readonly<Record<string, string>> = Object.freeze({});

/**
 * A message without headers, read from the bytes of its record when it is asked for. Messages live until their events are applied, thousands at a time, and are copied
 * by each collection of the young until then: so they hold one object instead of seven, and whatever is asked of them is made again.
 */
export class RecordMessage implements ConsumedMessage {
  readonly #bytes: Buffer;
  readonly #base: RecordBase;
  readonly #offsetDelta: number;
  readonly #timestampDelta: number;
  readonly #keyAt: number;
  readonly #keyEnd: number;
  readonly #valueAt: number;
  readonly #valueEnd: number;

  constructor(bytes: Buffer, base: RecordBase, parts: RecordParts) {
    this.#bytes = bytes;
    this.#base = base;
    this.#offsetDelta = parts.offsetDelta;
    this.#timestampDelta = parts.timestampDelta;
    this.#keyAt = parts.keyAt;
    this.#keyEnd = parts.keyEnd;
    this.#valueAt = parts.valueAt;
    this.#valueEnd = parts.valueEnd;
  }

  get offset(): bigint {
    return BigInt(this.#base.offset + this.#offsetDelta);
  }

  get key(): Buffer | null {
    return this.#keyAt < 0 ? null : this.#bytes.subarray(this.#keyAt, this.#keyEnd);
  }

  get value(): Buffer | null {
    return this.#valueAt < 0 ? null : this.#bytes.subarray(this.#valueAt, this.#valueEnd);
  }

  get timestamp(): number {
    return this.#base.appendTime ?? this.#base.timestamp + this.#timestampDelta;
  }

  get headers(): Readonly<Record<string, string>> {
    return noHeaders;
  }
}
