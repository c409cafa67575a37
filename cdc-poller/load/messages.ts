import type { LegacyDbConfig, PollerConfig, PollerTableConfig } from '#pipeline/index.ts';
import type { TableFormat } from '../encoding/table-format.ts';
import type { Cursor, Pass } from '../fence/pass.ts';
import type { Witness } from '../position/position.ts';

/** What a thread is started with. */
export type ThreadSetup = {
  readonly legacyDb: LegacyDbConfig;
  readonly poller: PollerConfig;
  readonly table: PollerTableConfig;
  /** How the poller writes the table's events. */
  readonly format: TableFormat;
  /** The table as the poller knows it (`pageStateOf`): a thread that finds it otherwise reads nothing. */
  readonly state: string;
};

/** A page to read: the rows behind `pass.cursor` up to `until` (null: to the end), `limit` at most. */
export type PageTask = {
  readonly pass: Pass;
  readonly until: Cursor | null;
  readonly limit: number;
  readonly hasRepair: boolean;
  readonly partitions: number;
  readonly wantsKeys: boolean;
};

/** The records of one partition: the first `bytes` of the memory, which goes from thread to thread and is not copied. */
export type LoadedBatch = { readonly partition: number; readonly count: number; readonly bytes: number; readonly memory: ArrayBuffer };

/** A page that was read, judged and encoded. */
export type LoadedPage = {
  readonly rows: number;
  /** Bytes of its values. */
  readonly characters: number;
  /** Its last row; null for an empty one. */
  readonly cursor: Cursor | null;
  readonly published: number;
  readonly witnesses: Witness['rows'];
  readonly keys: readonly string[];
  readonly largest: number;
  readonly batches: readonly LoadedBatch[];
};

/** `sent`: memory of batches that are sent, to be used again. */
export type ToThread =
  | { readonly kind: 'page'; readonly id: number; readonly task: PageTask }
  | { readonly kind: 'sent'; readonly memory: readonly ArrayBuffer[] }
  | { readonly kind: 'end' };

export type FromThread =
  | { readonly kind: 'ready' }
  | { readonly kind: 'page'; readonly id: number; readonly page: LoadedPage }
  | { readonly kind: 'failed'; readonly reason: string };
