import type { Mark } from '../../fence/floor.ts';
import type { Cursor, Pass } from '../../fence/pass.ts';
import type { Witness } from '../../position/position.ts';

/** A page on its way from the server to the table's topic: read as texts or as bytes, by one connection or several, which the pass need not know. */
export type PageReader = {
  /** The page behind the pass' cursor, of about `limit` rows. Asked for one after the other, each behind where the one before it ended. */
  read(pass: Pass, limit: number): Promise<ReadPage>;
  /** Ends what reads ahead. No page is asked for afterwards, and none is being sent any more. */
  close?(): Promise<void>;
};

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
  /** Nothing comes behind it. */
  readonly isLast: boolean;
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
