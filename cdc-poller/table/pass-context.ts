import type { Logger } from '#pipeline/index.ts';
import type { EventEncoder } from '../encoding/event-encoder.ts';
import type { Mark } from '../fence/floor.ts';
import type { LoadThreadStarter } from '../load/load-threads.ts';
import type { SourceSession } from '../source/dialect.ts';
import type { TableShape } from '../source/table/table-shape.ts';
import type { Oversize } from './oversize.ts';
import type { TablePublisher } from './table-publisher.ts';

/** What a pass works with. */
export type PassContext = {
  readonly session: SourceSession;
  readonly shape: TableShape;
  readonly encoder: EventEncoder;
  readonly publisher: TablePublisher;
  readonly oversize: Oversize;
  readonly pageRows: number;
  readonly rememberedKeysMax: number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Threads that may read a load's pages; null where one connection reads them all. */
  readonly loadThreads?: LoadThreadStarter | null;
  /** Of a window: the clock or the highest id at the poll before, which should have shown what is below it. */
  readonly shownBefore?: Mark | null;
  /** Called after each page with the number of rows read and published in the pass so far. */
  readonly onProgress: (rows: { readonly read: number; readonly published: number }) => void;
};
