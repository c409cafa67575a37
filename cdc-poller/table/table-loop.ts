import { pause, type Logger } from '#pipeline/index.ts';
import type { EventEncoder } from '../encoding/event-encoder.ts';
import type { Mark, Micros } from '../fence/floor.ts';
import type { LoadThreadStarter } from '../load/load-threads.ts';
import type { Heartbeat } from './heartbeat.ts';
import { findHolder } from '../metrics/held-back-by.ts';
import { followLoad } from '../metrics/load-progress.ts';
import type { TableMonitor } from '../metrics/table-monitor.ts';
import { windowFigures } from '../metrics/window-figures.ts';
import { nextPollDelay, type Interval } from '../pace/poll-delay.ts';
import type { Position, StartOptions } from '../position/position.ts';
import type { Oversize } from './oversize.ts';
import { nothingKnown, planPoll, type Known, type Poll } from './plan-poll.ts';
import { runPass, type PassResult } from './run-pass.ts';
import type { SourceSession } from '../source/dialect.ts';
import type { TableShape } from '../source/table/table-shape.ts';
import type { SweepView, TableSweeper } from '../sweep/table-sweeper.ts';
import type { TablePublisher } from './table-publisher.ts';

export type TableLoopOptions = {
  readonly session: SourceSession;
  readonly shape: TableShape;
  readonly encoder: EventEncoder;
  readonly publisher: TablePublisher;
  /** Throws when the table's topic is not the one any more that it began with. */
  readonly requireTopic: () => void;
  readonly monitor: TableMonitor;
  readonly interval: Interval;
  readonly heartbeat: Heartbeat;
  readonly pageRows: number;
  /** Threads for the load; null for none. */
  readonly loadThreads: LoadThreadStarter | null;
  readonly rememberedKeysMax: number;
  /** For a table without a position; its margin is that of every poll. */
  readonly start: StartOptions;
  readonly oversize: Oversize;
  /** Looks for deleted rows between polls; null where it is not asked for. */
  readonly sweep: { readonly sweeper: TableSweeper; readonly view: SweepView } | null;
  /** Return when the table is loaded and a poll has found the end. */
  readonly once: boolean;
  readonly logger: Logger;
  readonly signal: AbortSignal;
};

/** How often an idle table's position is written, in ms: what the status shows of it is no older. */
const idleWriteMs = 1000;
/** A floor that is this far behind the clock, in µs, is held by somebody: whom, is asked again this often, in ms. */
const heldBackMicros = 5_000_000n;
const askHolderMs = 10_000;

/** What a table's loop has written and asked from one poll to the next: when to do so again. */
type Rhythm = {
  intervalMs: number;
  /** The position that was written last, and when, by this process' monotonic clock. */
  written: Position | null;
  writtenAt: number;
  askedHolderAt: number;
};

/**
 * Polls one table until the signal is aborted: observe, run the pass that is due, write the position, sweep, wait. What decides is pure
 * (plan-poll.ts, fence/, position/). Throws what went wrong; the journal is then as last committed.
 */
export async function runTableLoop(options: TableLoopOptions): Promise<void> {
  const { session, shape, publisher, signal, monitor, interval } = options;
  const { journal } = publisher;
  const watch = session.dialect.watchSql(shape);
  const isFull = (): boolean => journal.remembered.size >= options.rememberedKeysMax;
  const rhythm: Rhythm = {
    intervalMs: interval.minMs,
    written: journal.position,
    writtenAt: performance.now(),
    askedHolderAt: -Infinity,
  };
  let known = nothingKnown;

  while (!signal.aborted) {
    options.requireTopic();
    const startedAt = performance.now();
    const seen = await session.observe(watch, known.settledSnapshot);
    const poll = planPoll(
      {
        shape,
        dialect: session.dialect,
        start: options.start,
        stored: journal.position,
        isFull: isFull(),
        askedAt: startedAt,
        answeredAt: performance.now(),
      },
      known,
      seen,
    );
    known = poll.known;
    if (poll.steppedBack !== 0n)
      options.logger.info(
        { stepMs: Number(poll.steppedBack / 1000n) },
        'the clock of the legacy server stepped back; the floor is lowered by as much',
      );
    monitor.resumed(Number(poll.behind / 1000n));
    const result = await publishPass(options, poll);
    warnOfLateRows(options, result.late);
    if (!result.whole) continue;
    known = poll.knownAfter;

    const { pass, resumed } = poll;
    const committed = journal.position;
    const complete = (pass.kind === 'poll' || pass.kind === 'whole') && !resumed && !isFull() && committed?.repair === null;
    await writePosition(options, rhythm, seen.clock, complete);
    const floorClock = floorTime(options, known, seen.clock, committed?.floor ?? poll.position.floor);
    monitor.observed({ clock: seen.clock, floor: floorClock, rememberedKeys: journal.remembered.size });
    if (pass.kind !== 'poll' && pass.kind !== 'whole') continue;
    rhythm.intervalMs = nextPollDelay(rhythm.intervalMs, result, interval);
    monitor.polled({ startedAt, complete, intervalMs: rhythm.intervalMs });
    if (options.sweep !== null && !resumed) await sweepOn(options.sweep, publisher, monitor);
    if (options.once && !resumed && committed?.repair === null) {
      await publisher.commit({ ...committed, done: true }, []);
      return;
    }
    await explainHeldFloor(options, rhythm, known, seen.clock - floorClock - options.start.margin);
    await session.rest?.();
    await pause(startedAt + rhythm.intervalMs - performance.now(), signal);
  }
}

/** Reads and publishes what the poll asks for; nothing where nothing can have changed. */
async function publishPass(options: TableLoopOptions, { isIdle, pass, position, shownBefore, finish }: Poll): Promise<PassResult> {
  if (isIdle) {
    options.publisher.journal.advance(finish(null));
    return { whole: true, read: 0, published: 0, late: 0n };
  }
  const onProgress = pass.kind === 'load' ? await followLoad(options, pass) : () => undefined;
  return runPass({ ...options, shownBefore, onProgress }, position, pass, finish);
}

/** Writes the position of a table that has nothing to publish, now and then, and with it the heartbeat that a complete poll proves. */
async function writePosition(
  { publisher, shape, heartbeat, start }: TableLoopOptions,
  rhythm: Rhythm,
  clock: Micros,
  complete: boolean,
): Promise<void> {
  const { position } = publisher.journal;
  if (position === null) return;
  const movedOn = position.horizon !== rhythm.written?.horizon || position.swept !== rhythm.written.swept;
  const idleMs = performance.now() - rhythm.writtenAt;
  // A window may still be given rows of its own time: it proves nothing of that, and one on ids nothing of any time.
  const proves = complete && shape.capture !== 'id-window';
  if (!(movedOn && idleMs >= idleWriteMs) && !(proves && idleMs >= heartbeat.everyMs)) return;
  if (proves) await publisher.send([heartbeat.message(shape.capture === 'window' ? clock - start.margin : clock)], heartbeat.topic);
  await publisher.commit(position, []);
  rhythm.written = position;
  rhythm.writtenAt = performance.now();
}

/** The time up to which the floor has come. Ids have none: the time of the oldest candidate is used. */
function floorTime({ shape, start }: TableLoopOptions, { candidates }: Known, clock: Micros, floor: Micros): Micros {
  if (shape.capture === 'time') return floor;
  return (candidates[0]?.at ?? clock) - (shape.capture === 'id-window' ? 0n : start.margin);
}

/** Asks now and then whose transaction holds a floor back that is far behind. */
async function explainHeldFloor(
  { session, monitor }: TableLoopOptions,
  rhythm: Rhythm,
  { candidates }: Known,
  behind: Micros,
): Promise<void> {
  if (behind < heldBackMicros) return monitor.heldBack(null);
  if (performance.now() - rhythm.askedHolderAt < askHolderMs) return;
  rhythm.askedHolderAt = performance.now();
  monitor.heldBack(await findHolder((text, values) => session.query(text, values), candidates[0]?.open ?? new Set()));
}

/** A row that comes later than the window is wide is not seen, so only rows that come within it can be measured. */
function warnOfLateRows({ shape, start, monitor, logger }: TableLoopOptions, late: Mark): void {
  const window = windowFigures(shape.capture, start.margin, late);
  if (window === null || !monitor.lateness(window)) return;
  const setting = window.unit === 'seconds' ? 'overlapMs' : 'overlapIds';
  logger.warn(window, `rows come late: raise ${setting}, or those that come later than the window is wide are lost`);
}

/** One query of a sweep; what a finished one has found is published with the position, which says up to where deletes are known. */
async function sweepOn(
  { sweeper, view }: NonNullable<TableLoopOptions['sweep']>,
  publisher: TablePublisher,
  monitor: TableMonitor,
): Promise<void> {
  const { position } = publisher.journal;
  if (position === null) return;
  const ended = await sweeper.step(view, position.horizon);
  if (ended === null) return;
  const after: Position = { ...position, swept: ended.sweptTo ?? position.swept };
  if (ended.messages.length > 0) {
    await publisher.send(ended.messages);
    await publisher.commit(after, []);
    sweeper.committed();
  } else publisher.journal.advance(after);
  monitor.swept({ outcome: ended.outcome, deletes: ended.deletes });
}
