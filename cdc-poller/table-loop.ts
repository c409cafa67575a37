import { pause, type Logger } from '#pipeline/index.ts';
import type { EventEncoder } from './encoding/event-encoder.ts';
import type { Cursor } from './fence/pass.ts';
import { followClock, type ClockReference } from './fence/clock.ts';
import { lowerFloor, type FloorState, type Mark, type Micros } from './fence/floor.ts';
import type { Heartbeat } from './heartbeat.ts';
import { findHolder } from './metrics/held-back-by.ts';
import { followLoad } from './metrics/load-progress.ts';
import type { TableMonitor } from './metrics/table-monitor.ts';
import { windowFigures } from './metrics/window-figures.ts';
import { nextPollDelay, type Interval } from './pace/poll-delay.ts';
import { advance } from './position/advance.ts';
import { afterPass, isWindow, nextPass, observeRepair, startPosition, type Position, type StartOptions } from './position/position.ts';
import type { Oversize } from './oversize.ts';
import { runPass, type PassResult } from './run-pass.ts';
import type { SourceSession } from './source/source-session.ts';
import type { TableShape } from './source/table-shape.ts';
import type { SweepView, TableSweeper } from './sweep/table-sweeper.ts';
import type { TablePublisher } from './table-publisher.ts';

export type TableLoopOptions = {
  readonly session: SourceSession;
  readonly shape: TableShape;
  readonly encoder: EventEncoder;
  readonly publisher: TablePublisher;
  readonly monitor: TableMonitor;
  readonly interval: Interval;
  readonly heartbeat: Heartbeat;
  readonly pageRows: number;
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

/**
 * Polls one table until the signal is aborted: observe, run the pass that is due, wait. Everything that decides is a pure function of
 * fence/ and position/; this loop holds what they need between polls. Throws what went wrong; the journal is then as last committed.
 */
export async function runTableLoop(options: TableLoopOptions): Promise<void> {
  const { session, shape, publisher, signal, monitor, interval, heartbeat } = options;
  const { journal } = publisher;
  const { margin } = options.start;
  const { capture } = shape;
  const { dialect } = session;
  const watch = dialect.watchSql(shape);
  /** How far the table's sequence was at the last observation; null where it cannot be asked. */
  let drawn: bigint | null = null;
  let candidates: FloorState['candidates'] = [];
  let settledSnapshot = '';
  let reference: ClockReference = null;
  let written: Position | null = journal.position;
  let writtenAt = performance.now();
  let intervalMs = interval.minMs;
  let askedHolderAt = -Infinity;

  while (!signal.aborted) {
    const startedAt = performance.now();
    const seen = await session.observe(watch, settledSnapshot);
    const start = journal.position ?? startPosition(options.start, seen);
    // Without a transaction since, the table is what it was.
    const nowDrawn: bigint | null = seen.snapshot.text === settledSnapshot ? drawn : dialect.readWatch(shape, seen.watched, start.high);
    // After a restart the time that passed is not known: to take it for none is safe.
    const before = reference ?? { clock: start.clock, askedAt: startedAt, answeredAt: startedAt };
    const followed = followClock(before, { clock: seen.clock, askedAt: startedAt, answeredAt: performance.now() });
    reference = followed.reference;
    const stepped = lowerBy(
      capture === 'time' || capture === 'window' ? followed.step : 0n,
      { position: { ...start, clock: seen.clock, log: seen.log ?? start.log }, candidates },
      options.logger,
    );
    const position: Position = { ...stepped.position, repair: observeRepair(stepped.position.repair, seen) };
    candidates = stepped.candidates;
    monitor.resumed(
      Number((seen.clock - (start.pass?.kind === 'load' && capture === 'time' ? start.floor + margin : start.clock)) / 1000n),
    );

    const resumed = position.pass !== null && journal.position !== null;
    const pass = position.pass ?? nextPass(position, seen, margin);
    const floors: FloorState = { floor: position.floor, candidates };
    // A pass that was begun by an earlier process, or that does not read from the floor on, proves nothing about the floor.
    const after = resumed || pass.kind !== 'poll' ? floors : advance(position, candidates, seen, { margin, drawn });
    drawn = nowDrawn;
    const finish = (cursor: Cursor | null): Position => ({ ...afterPass(position, pass, cursor), floor: after.floor ?? position.floor });
    let result: PassResult = { whole: true, read: 0, published: 0, late: 0n };
    // A query may look at the time; and a window moves on even past rows that had to wait.
    const mayDiffer = shape.query !== null || (isWindow(capture) && journal.remembered.size >= options.rememberedKeysMax);
    if (pass.kind === 'poll' && !mayDiffer && !resumed && seen.snapshot.text === settledSnapshot) {
      // Nothing has been committed since the last poll ended: its answer would be the same.
      journal.advance(finish(null));
    } else {
      const onProgress = pass.kind === 'load' ? await followLoad(options, pass) : () => undefined;
      const shownBefore =
        pass.kind === 'poll' && isWindow(capture) && start.horizon !== null ? (capture === 'window' ? start.clock : start.high) : null;
      result = await runPass({ ...options, shownBefore, onProgress }, position, pass, finish);
    }
    tellLateness(options, result.late);
    if (!result.whole) continue;
    candidates = after.candidates;
    if (pass.kind === 'poll') settledSnapshot = resumed ? '' : seen.snapshot.text;

    const committed = journal.position;
    const full = journal.remembered.size >= options.rememberedKeysMax;
    const complete = (pass.kind === 'poll' || pass.kind === 'whole') && !resumed && !full && committed?.repair === null;
    const movedOn = committed !== null && (committed.horizon !== written?.horizon || committed.swept !== written.swept);
    const restedMs = performance.now() - writtenAt;
    // A window may still be given rows of its own time: it proves nothing of that, and one on ids nothing of any time.
    const proves = complete && capture !== 'id-window';
    if (committed !== null && ((movedOn && restedMs >= idleWriteMs) || (proves && restedMs >= heartbeat.everyMs))) {
      const provenTo = capture === 'window' ? seen.clock - margin : seen.clock;
      if (proves) await publisher.send([heartbeat.message(provenTo)], heartbeat.topic);
      await publisher.commit(committed, []);
      written = committed;
      writtenAt = performance.now();
    }
    const floorClock =
      capture === 'time'
        ? (committed?.floor ?? position.floor)
        : (candidates[0]?.at ?? seen.clock) - (capture === 'id-window' ? 0n : margin);
    monitor.observed({ clock: seen.clock, floor: floorClock, rememberedKeys: journal.remembered.size });
    if (pass.kind !== 'poll' && pass.kind !== 'whole') continue;
    intervalMs = nextPollDelay(intervalMs, result, interval);
    monitor.polled({ startedAt, complete, intervalMs });
    if (options.sweep !== null && !resumed) await sweepOn(options.sweep, publisher, monitor);
    if (options.once && !resumed && committed?.repair === null) return;
    if (seen.clock - floorClock - margin < heldBackMicros) monitor.heldBack(null);
    else if (performance.now() - askedHolderAt >= askHolderMs) {
      askedHolderAt = performance.now();
      monitor.heldBack(await findHolder((text, values) => session.query(text, values), candidates[0]?.open ?? new Set()));
    }
    await pause(startedAt + intervalMs - performance.now(), signal);
  }
}

/** A row that comes later than the window is wide is not seen, so what comes within it is all that can tell. */
function tellLateness({ shape, start, monitor, logger }: TableLoopOptions, late: Mark): void {
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

type Clocked = { readonly position: Position; readonly candidates: FloorState['candidates'] };

/** Lowers the floor by what the clock stepped back. */
function lowerBy(step: Micros, { position, candidates }: Clocked, logger: Logger): Clocked {
  if (step === 0n) return { position, candidates };
  logger.info({ stepMs: Number(step / 1000n) }, 'the clock of the legacy server stepped back; the floor is lowered by as much');
  const lowered = lowerFloor({ floor: position.floor, candidates }, step);
  return { position: { ...position, floor: lowered.floor ?? position.floor }, candidates: lowered.candidates };
}
