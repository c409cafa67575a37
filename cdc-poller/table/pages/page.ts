import type { Mark } from '../../fence/floor.ts';
import type { Cursor, Pass } from '../../fence/pass.ts';
import type { Witness } from '../../position/position.ts';

/** A page on its way from the server to the table's topic: read as texts or as bytes, which the pass need not know. */
export type PageReader = { read(pass: Pass, limit: number): Promise<ReadPage> };

/** How a page's rows are judged. */
export type Judgement = {
  readonly pass: Pass;
  /** Whether a repair pass will follow the load. */
  readonly hasRepair: boolean;
  /** Remembered keys of this pass that are not committed yet. */
  readonly fresh: number;
};

export type ReadPage = {
  readonly rows: number;
  /** How large its values are, in characters or bytes. */
  readonly characters: number;
  /** Where it ended; null for an empty one. */
  readonly cursor: Cursor | null;
  /** Judges its rows and encodes the events of those that are new; to be called once, before the page after the next is read. */
  encode(judgement: Judgement): Promise<EncodedPage>;
};

export type EncodedPage = {
  /** How many events it has. */
  readonly published: number;
  readonly remembered: readonly (readonly [bigint, string])[];
  readonly late: Mark;
  readonly witnesses: Witness['rows'];
  /** Adds its events to the transaction. @throws EventRefused when one was too large */
  readonly send: () => Promise<void>;
};
