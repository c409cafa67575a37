import { topicName } from '#change-events/index.ts';
import type { TableShape } from './canonical/shape.ts';
import { counted } from './report/count-words.ts';
import type { Cost } from './cost/cost.ts';
import { countEvents, type TableEvents } from './events/count.ts';
import { compareState } from './final-state/compare-state.ts';
import { readApplyLog } from './latency/apply-log.ts';
import { latencies, type TimedMatch } from './latency/latencies.ts';
import { measured, notMeasured, type Measured } from './measured.ts';
import type { Observer } from './observer/observer.ts';
import { readCommitTimes, measureClock, type ClockOffset } from './source/commit-times.ts';
import { readLedger, type LedgerTable } from './source/ledger.ts';
import type { Session } from './source/session.ts';
import { readSetup, type Setup } from './source/setup.ts';
import { changedSince, type Window } from './source/window.ts';
import { entriesOf, mapStrategiesAsync, strategies, type PerStrategy, type Strategy } from './strategy.ts';
import type { StrategyReport } from './strategy-report.ts';
import type { TableId } from '#change-events/index.ts';

/** A strategy as it runs, with sessions of its own: all models are compared at the same time. */
export type Contender = {
  readonly topicPrefix: string;
  /** The schema of its read model. */
  readonly schema: string;
  readonly model: Session;
  readonly source: Session;
};

export type CollectOptions = {
  readonly observer: Observer;
  readonly source: Session;
  readonly contenders: PerStrategy<Contender>;
  readonly shapes: readonly TableShape[];
  readonly window: Window;
  readonly heartbeatTable: TableId;
  /** Roles in the legacy database; null when unknown. */
  readonly roles: PerStrategy<string> | null;
  /** What each cost in the window; null where it is not known. */
  readonly costs: PerStrategy<Cost> | null;
  readonly maxEvents: number;
  readonly listedKeys: number;
};

export type Collected = { readonly reports: PerStrategy<StrategyReport>; readonly sourceMoved: boolean; readonly notes: readonly string[] };

/** Reads ledger, commit times, models and roles, and brings them together with what the observer saw. */
export async function collect(options: CollectOptions): Promise<Collected> {
  const { observer, source, shapes, window, contenders, costs } = options;
  const missingColumns = new Map(shapes.map(({ id }) => [id, missingColumnSets(observer, id)]));
  const ledger = await readLedger(source, { shapes, window, missingColumns, maxChanges: options.maxEvents });
  const commitTimes = await readCommitTimes(
    source,
    [...ledger.values()].flatMap(({ changes }) => changes.map(({ txId }) => txId)),
  );
  const clocks = { source: await measureClock(source), read: await measureClock(contenders.log.model) };
  const setup = await readSetupOrWhy(options);

  const reports = await mapStrategiesAsync(contenders, async (contender, strategy): Promise<StrategyReport> => {
    const { topicPrefix, schema, model } = contender;
    const { tables, matches } = countAll(strategy, topicPrefix, options, ledger);
    const applyLog = await readApplyLog(model, schema, topicPrefix, shapes);
    return {
      topicPrefix,
      model: schema,
      events:
        observer.dropped() === 0
          ? measured(tables)
          : notMeasured(`the run had more events than are kept (${options.maxEvents}); ${observer.dropped()} were not looked at`),
      state: await compareState({ ...contender, shapes, listedKeys: options.listedKeys }),
      latency: latencies(matches, commitTimes, applyLog, {
        sourceAheadMs: correction(clocks.source),
        readAheadMs: correction(clocks.read),
      }),
      setup: ofStrategy(setup, strategy),
      cost: ofStrategy(costs === null ? notMeasured('the configuration does not name their sessions') : measured(costs), strategy),
    };
  });
  // Asked after the rows were read: nothing later can have moved them.
  const sourceMoved = await changedSince(
    source,
    window.end,
    shapes.map(({ id }) => id),
  );
  const notes = [
    ...clockNotes(clocks),
    ...undecodableNotes(observer, shapes),
    ...untimedNotes(reports),
    ...(sourceMoved
      ? ['The source changed after the run and before its rows were compared: differences may be changes on their way.']
      : []),
  ];
  return { reports, sourceMoved, notes };
}

function countAll(
  strategy: Strategy,
  topicPrefix: string,
  { observer, shapes, window, listedKeys }: CollectOptions,
  ledger: ReadonlyMap<string, LedgerTable>,
): { readonly tables: Readonly<Record<string, TableEvents>>; readonly matches: readonly TimedMatch[] } {
  const tables: Record<string, TableEvents> = {};
  const all: TimedMatch[] = [];
  for (const shape of shapes) {
    const { changes, truncates } = ledger.get(shape.id) ?? { changes: [], truncates: 0 };
    const { events, tombstones } = observer.table(strategy, shape.id);
    const { counts, matches } = countEvents({
      changes,
      truncates,
      events,
      tombstones,
      windowStart: window.startXmin,
      windowOpenedAt: window.openedAt,
      listedKeys,
    });
    tables[shape.id] = counts;
    const topic = topicName(topicPrefix, shape);
    for (const match of matches) all.push({ ...match, topic });
  }
  return { tables, matches: all };
}

function missingColumnSets(observer: Observer, table: string): readonly (readonly string[])[] {
  const sets = new Map<string, readonly string[]>();
  for (const strategy of strategies)
    for (const { missing } of observer.table(strategy, table).events) if (missing.length > 0) sets.set(missing.join(','), missing);
  return [...sets.values()];
}

async function readSetupOrWhy({ source, shapes, heartbeatTable, roles }: CollectOptions): Promise<Measured<PerStrategy<Setup>>> {
  if (roles === null) return notMeasured('the configuration does not name the roles of the strategies');
  return measured(await readSetup(source, shapes, heartbeatTable, roles));
}

/** One strategy's part of what was measured for all. */
function ofStrategy<T extends object>(all: Measured<PerStrategy<T>>, strategy: Strategy): Measured<T> {
  if (!all.measured) return all;
  const value = all.value[strategy];
  return value === null ? notMeasured('this strategy does not run') : measured(value);
}

/** A difference that is within its own uncertainty is none. */
function correction({ aheadMs, uncertaintyMs }: ClockOffset): number {
  return Math.abs(aheadMs) > uncertaintyMs ? aheadMs : 0;
}

function clockNotes({ source, read }: { readonly source: ClockOffset; readonly read: ClockOffset }): readonly string[] {
  return [
    `Clocks ahead of this host's: legacy database ${describeOffset(source)}, read database ${describeOffset(read)}; times are corrected where the difference exceeds its uncertainty.`,
  ];
}

function untimedNotes(reports: PerStrategy<StrategyReport>): readonly string[] {
  return entriesOf(reports).flatMap(([strategy, { latency }]) => {
    const { withoutCommitTime, withoutBatch } = latency;
    return [
      ...(withoutCommitTime === 0
        ? []
        : [`Without a time (${strategy}): ${counted(withoutCommitTime, 'event')} whose commit is not known.`]),
      ...(withoutBatch === 0
        ? []
        : [`Without a time to the read model (${strategy}): ${counted(withoutBatch, 'event')} that its apply_log does not hold.`]),
    ];
  });
}

function describeOffset({ aheadMs, uncertaintyMs }: ClockOffset): string {
  return `${aheadMs.toFixed(2)} ms (± ${uncertaintyMs.toFixed(2)})`;
}

function undecodableNotes(observer: Observer, shapes: readonly TableShape[]): readonly string[] {
  return strategies.flatMap((strategy) =>
    shapes.flatMap(({ id }) => {
      const { count, first } = observer.table(strategy, id).undecodable;
      return count === 0 ? [] : [`${counted(count, 'message')} of ${id} (${strategy}) not a change event; the first: ${first}.`];
    }),
  );
}
