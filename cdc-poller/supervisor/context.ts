import type { Kafka } from '#kafka/index.ts';
import type { CdcError, Logger, PipelineConfig, PollerConfig, PollerTableConfig } from '#pipeline/index.ts';
import type { TableMonitor } from '../metrics/table-monitor.ts';
import type { Governor } from '../pace/governor.ts';
import type { PositionReading } from '../position/shared-reading.ts';
import type { LoadThreadsPlace } from '../load/load-threads.ts';
import type { Registrar } from '../schemas/registration.ts';
import type { SharedSessions } from '../source/shared-sessions.ts';
import type { TopicGuard } from './topic-guard.ts';
import type { Turns } from './turns.ts';

/** What the tables of one poller process have in common. */
export type PollerContext = {
  readonly config: PipelineConfig;
  readonly poller: PollerConfig;
  readonly kafka: Kafka;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Load, publish what is there, and return. */
  readonly once: boolean;
  /** This process, as the position topic names it. */
  readonly owner: string;
  /** Keeps all tables of the process together within the poller's limit; null without one. */
  readonly governor: Governor | null;
  /** Connections for all tables; null where each has its own. */
  readonly sessions: SharedSessions | null;
  /** Whether a table's load has the process' threads. */
  readonly loadThreadsPlace: LoadThreadsPlace;
  /** Where the tables' schemas are registered; null for JSON without schemas. */
  readonly registrar: Registrar | null;
  /** Tables that must not be published, with why: their topics are not theirs alone. Found out by whoever finds the tables. */
  readonly refused: Map<string, CdcError>;
  /** Turns of the tables that are taken over: each has connections to Kafka of its own to open. */
  readonly takingOver: Turns;
  /** Reads the positions for all tables that are taken over at about the same time. */
  readonly readPositions: PositionReading;
  /** The topics of the process, by Kafka's own ids. */
  readonly topics: TopicGuard;
};

/** The right to poll one table. Ends when `signal` is aborted; the transactional id is what enforces it. */
export type TableAssignment = {
  readonly table: PollerTableConfig;
  readonly signal: AbortSignal;
  readonly monitor: TableMonitor;
  /**
   * Null when whoever comes last is the owner. Otherwise the group says who is, and an owner that lost the table may take it again
   * as soon as this resolves: the group has confirmed the membership since. Resolves at once when the signal is aborted.
   */
  readonly confirmed: (() => Promise<void>) | null;
};
