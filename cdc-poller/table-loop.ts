import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '#pipeline/index.ts';
import type { EventEncoder } from './encoding/event-encoder.ts';
import { followClock, type ClockReference } from './fence/clock.ts';
import { advanceFloor, lowerFloor, type FloorState, type Micros } from './fence/floor.ts';
import { afterPass, nextPass, observeRepair, startPosition, type Position } from './position/position.ts';
import { runPass } from './run-pass.ts';
import type { SourceSession } from './source/source-session.ts';
import type { ServerIdentity } from './source/catalog.ts';
import type { TableShape } from './source/table-shape.ts';
import type { TablePublisher } from './table-publisher.ts';

export type TableLoopOptions = {
  readonly session: SourceSession;
  readonly identity: ServerIdentity;
  readonly shape: TableShape;
  readonly encoder: EventEncoder;
  readonly publisher: TablePublisher;
  readonly pollIntervalMs: number;
  readonly pageRows: number;
  readonly rememberedKeysMax: number;
  readonly clockMarginMs: number;
  /** Return when the table is loaded and a poll has found the end. */
  readonly once: boolean;
  readonly logger: Logger;
  readonly signal: AbortSignal;
};

/** How often an idle table's position is written, in ms: what the status shows of it is no older. */
const idleWriteMs = 1000;
/** How often a long pass tells its progress, in ms. */
const progressMs = 5000;

/**
 * Polls one table until the signal is aborted: observe, run the pass that is due, wait. Everything that decides is a pure function of
 * fence/ and position/; this loop holds what they need between polls. Throws what went wrong; the journal is then as last committed.
 */
export async function runTableLoop(options: TableLoopOptions): Promise<void> {
  const { session, publisher, signal, identity, pollIntervalMs } = options;
  const { journal } = publisher;
  const margin = BigInt(options.clockMarginMs) * 1000n;
  let candidates: FloorState['candidates'] = [];
  let settledSnapshot = '';
  let reference: ClockReference = null;
  let written: Position | null = journal.position;
  let writtenAt = performance.now();

  while (!signal.aborted) {
    const startedAt = performance.now();
    const seen = await session.observe();
    const start = journal.position ?? startPosition(identity, seen, margin);
    // After a restart the time that passed is not known: to take it for none is safe.
    const before = reference ?? { clock: start.clock, askedAt: startedAt, answeredAt: startedAt };
    const followed = followClock(before, { clock: seen.clock, askedAt: startedAt, answeredAt: performance.now() });
    reference = followed.reference;
    const stepped = lowerBy(followed.step, { position: { ...start, clock: seen.clock }, candidates }, options.logger);
    const position: Position = { ...stepped.position, repair: observeRepair(stepped.position.repair, seen) };
    candidates = stepped.candidates;

    const resumed = position.pass !== null && journal.position !== null;
    const pass = position.pass ?? nextPass(position, seen);
    const floors: FloorState = { floor: position.floor, candidates };
    // A pass that was begun by an earlier process, or that does not read from the floor on, proves nothing about the floor.
    const after = resumed || pass.kind !== 'poll' ? floors : advanceFloor(floors, seen, margin);
    const finish = (): Position => ({ ...afterPass(position, pass), floor: after.floor ?? position.floor });
    let whole = true;
    if (pass.kind === 'poll' && !resumed && seen.snapshot.text === settledSnapshot) {
      // Nothing has been committed since the last poll ended: its answer would be the same.
      journal.advance(finish());
    } else {
      ({ whole } = await runPass(passContext(options), position, pass, finish));
    }
    if (!whole) continue;
    candidates = after.candidates;
    if (pass.kind === 'poll') settledSnapshot = resumed ? '' : seen.snapshot.text;

    const committed = journal.position;
    if (committed !== null && committed.horizon !== written?.horizon && performance.now() - writtenAt >= idleWriteMs) {
      await publisher.commit(committed, []);
      written = committed;
      writtenAt = performance.now();
    }
    if (options.once && pass.kind === 'poll' && !resumed && committed?.repair === null) return;
    if (pass.kind === 'poll') await pause(startedAt + pollIntervalMs - performance.now(), signal);
  }
}

type Clocked = { readonly position: Position; readonly candidates: FloorState['candidates'] };

/** Lowers the floor by what the clock stepped back. */
function lowerBy(step: Micros, { position, candidates }: Clocked, logger: Logger): Clocked {
  if (step === 0n) return { position, candidates };
  logger.info({ stepMs: Number(step / 1000n) }, 'the clock of the legacy server stepped back; the floor is lowered by as much');
  const lowered = lowerFloor({ floor: position.floor, candidates }, step);
  return { position: { ...position, floor: lowered.floor ?? position.floor }, candidates: lowered.candidates };
}

function passContext(options: TableLoopOptions): Parameters<typeof runPass>[0] {
  const startedAt = performance.now();
  let toldAt = startedAt;
  return {
    ...options,
    onProgress: ({ read, published }) => {
      const now = performance.now();
      if (now - toldAt < progressMs) return;
      toldAt = now;
      options.logger.info({ read, published, rowsPerSecond: Math.round((read / (now - startedAt)) * 1000) }, 'reading');
    },
  };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return;
  try {
    await delay(ms, undefined, { signal });
  } catch {
    // Aborted: the loop sees it.
  }
}
