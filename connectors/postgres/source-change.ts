import type { Note } from './notes.ts';
import type { RelationName } from './facts/published-facts.ts';

/** What capture from the log is prepared for. */
export type SourceRequest = {
  /** The captured tables; the heartbeat table is added. */
  readonly tables: readonly RelationName[];
  readonly publication: string;
  /** The role that Debezium logs in with. Must exist, with LOGIN and REPLICATION. */
  readonly replicator: string;
};

/** One object of the source, and what was done about it. `present`: it was there already, as needed. `refused`: it was left as it was. */
export type SourceChange = {
  readonly action: 'created' | 'changed' | 'granted' | 'removed' | 'present' | 'refused';
  /** `table cdc.heartbeat`, `replica identity of table public.orders to FULL`, `SELECT on table public.orders to cdc_replicator` … */
  readonly object: string;
  /** The statement that was run, without its end; absent for `present` and `refused`. */
  readonly statement?: string;
  /** Of what was refused: why, and what to do. */
  readonly reason?: string;
  readonly remedy?: string;
};

/** One statement, and what it means. */
export type Step = {
  readonly change: SourceChange & { readonly statement: string };
  readonly note?: Note;
  /** Tables whose UPDATE and DELETE must go on working with it. */
  readonly writes?: readonly RelationName[];
};
