import type { Kafka, OutgoingMessage } from '#kafka/index.ts';
import { describeError, type Logger, type PollerTableConfig } from '#pipeline/index.ts';
import { deleteMessages, valueOfKey, type DeleteEvents } from './delete-event.ts';
import type { SweepKeyType } from './key-set.ts';
import { loadPublishedKeys, tooManyKeys } from './published-keys.ts';
import { sweep, type SweepLimits, type SweepResult } from './sweep.ts';
import type { SweepSource } from './sweep-source.ts';

export type SweepSettings = NonNullable<PollerTableConfig['sweep']>;

export type TableSweeperOptions = {
  readonly kafka: Kafka;
  readonly topic: string;
  readonly settings: SweepSettings;
  readonly logger: Logger;
  readonly signal: AbortSignal;
};

/** The table as a session finds it. */
export type SweepView = DeleteEvents & { readonly source: SweepSource; readonly keyType: SweepKeyType };

/** A sweep that has ended, believed or not, or that could not be made. */
export type EndedSweep = {
  readonly outcome: SweepResult['outcome'] | 'failed';
  readonly messages: readonly OutgoingMessage[];
  readonly deletes: number;
  /** Every delete of a transaction below it is among what has been published and `messages`; null when the sweep proves nothing. */
  readonly sweptTo: bigint | null;
};

/**
 * Sweeps one table again and again, a query at a time, between polls and on their connection. `step` gives the messages of a finished
 * sweep; when they are committed, call `committed`, or the same keys are found once more. Outlasts sessions: a sweep that a
 * lost connection cuts off begins again.
 */
export type TableSweeper = {
  /** Event keys (as JSON) that were committed; call it with all of them. */
  readonly published: (keys: Iterable<string>) => void;
  /** A new session, or a table of another shape: a sweep under way is dropped. */
  restart(): void;
  /** One query of the sweep that is due or under way; null while none has ended. `horizon`: every row version below it is published. */
  step(view: SweepView, horizon: bigint | null): Promise<EndedSweep | null>;
  committed(): void;
};

export function createTableSweeper({ kafka, topic, settings, logger, signal }: TableSweeperOptions): TableSweeper {
  const { intervalMs, maxKeys, maxDeletes, chunkKeys, listKeys } = settings;
  const limits: SweepLimits = { chunkKeys, listKeys, maxDeletes };
  /** Values of the keys published by this process; joined with those of the topic when they have been read. */
  const keys = new Set<string>();
  let loading: Promise<void> | null = null;
  let loaded = false;
  let failure: unknown = null;
  let running: AsyncGenerator<void, SweepResult> | null = null;
  let found: readonly string[] = [];
  /** The horizon at which the sweep under way began: each of its queries saw every transaction below it ended. */
  let begunAt: bigint | null = null;
  let nextAt = performance.now() + intervalMs;

  const load = async (): Promise<void> => {
    try {
      for (const key of await loadPublishedKeys(kafka, topic, maxKeys, signal)) keys.add(key);
      loaded = true;
    } catch (error) {
      failure = error;
    }
  };

  const end = (result: SweepResult, view: SweepView): EndedSweep => {
    found = result.outcome === 'found' ? result.missing : [];
    running = null;
    nextAt = performance.now() + intervalMs;
    report(logger, result, maxDeletes);
    const seenAt = Date.now();
    return {
      outcome: result.outcome,
      messages: found.flatMap((key) => deleteMessages(view, key, seenAt)),
      deletes: found.length,
      sweptTo: result.outcome === 'found' ? begunAt : null,
    };
  };

  return {
    published(added) {
      for (const key of added) keys.add(valueOfKey(key));
      if (keys.size > maxKeys) failure = tooManyKeys(topic, maxKeys);
    },
    restart() {
      running = null;
      found = [];
    },
    async step(view, horizon) {
      if (performance.now() < nextAt) return null;
      loading ??= load();
      if (failure !== null) {
        logger.warn({ reason: describeError(failure) }, 'the sweep failed; deletes are not seen until it succeeds');
        failure = null;
        loading = null;
        nextAt = performance.now() + intervalMs;
        return { outcome: 'failed', messages: [], deletes: 0, sweptTo: null };
      }
      if (!loaded) return null;
      if (running === null) {
        begunAt = horizon;
        running = sweep(view.source, [...keys], view.keyType, limits);
      }
      const step = await running.next();
      return step.done === true ? end(step.value, view) : null;
    },
    committed() {
      for (const key of found) keys.delete(key);
      found = [];
    },
  };
}

function report(logger: Logger, result: SweepResult, maxDeletes: number): void {
  switch (result.outcome) {
    case 'found':
      if (result.missing.length > 0) logger.info({ deletes: result.missing.length, swept: result.swept }, 'the sweep found deleted rows');
      return;
    case 'too-many':
      logger.error(
        { missing: result.missing, maxDeletes },
        'the sweep misses more keys than sweep.maxDeletes: nothing was published; if these rows were really deleted, raise it',
      );
      return;
    case 'moved':
      logger.info('the table was truncated or rewritten during the sweep: nothing was published, the next one looks again');
      return;
    case 'hidden':
      logger.error('a row-level-security policy hides rows from the poller, and to a sweep they would look deleted: nothing was published');
      return;
    case 'gone':
      logger.error('the table is not there: nothing was published');
  }
}
