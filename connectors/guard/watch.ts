import { setTimeout as delay } from 'node:timers/promises';
import { describeError, type GuardConfig } from '#pipeline/index.ts';
import { positionOf } from '../state/loss.ts';
import type { ConnectorOffsets } from '../rest/schemas.ts';
import { formatBytes, formatLsn, type Lsn } from '../postgres/lsn.ts';
import { decide, freshMemory, type AlarmName, type GuardAction, type GuardMemory, type GuardView } from './decide.ts';
import { dropSlotByForce } from './drop-slot.ts';
import { observe, type Guarded } from './observe.ts';

/** One thing that the guard did, or has to say. */
export type GuardEvent = {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly connector: string;
  readonly level: 'info' | 'warning' | 'error';
  readonly event: 'alarm' | 'clear' | 'restart' | 'slot-dropped' | 'action-failed';
  readonly alarm?: AlarmName;
  readonly text: string;
};

export type WatchOptions = {
  readonly policy: GuardConfig;
  readonly onEvent: (event: GuardEvent) => void;
  /** After each look: what was seen and which alarms hold. */
  readonly onObservation?: ((name: string, view: GuardView, memory: GuardMemory) => void) | undefined;
  /** One look, then return. */
  readonly once?: boolean;
  readonly signal: AbortSignal;
};

const loud = new Set<AlarmName>(['loss', 'unpublished', 'failed', 'given-up']);

/** Watches connectors until aborted (or once). Returns the alarms that hold at the end, by connector. */
export async function watchConnectors(
  guarded: readonly Guarded[],
  options: WatchOptions,
): Promise<Readonly<Record<string, readonly AlarmName[]>>> {
  const alarms = await Promise.all(guarded.map(async (one) => [one.name, await watchOne(one, options)] as const));
  return Object.fromEntries(alarms);
}

async function watchOne(
  one: Guarded,
  { policy, onEvent, onObservation, once = false, signal }: WatchOptions,
): Promise<readonly AlarmName[]> {
  let memory = freshMemory;
  let offsets: ConnectorOffsets = [];
  for (;;) {
    if (signal.aborted) return memory.alarms;
    try {
      const seen = await observe(one, offsets, signal);
      offsets = seen.offsets;
      const decision = decide(policy, memory, seen.view);
      memory = decision.memory;
      onObservation?.(one.name, seen.view, memory);
      for (const action of decision.actions) await act(one, action, positionOf(offsets), onEvent, signal);
      if (once) return memory.alarms;
      await delay(policy.intervalMs, undefined, { signal });
    } catch (error) {
      if (signal.aborted) return memory.alarms;
      throw error;
    }
  }
}

async function act(
  one: Guarded,
  action: GuardAction,
  position: Lsn | undefined,
  onEvent: (event: GuardEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const say = (level: GuardEvent['level'], event: GuardEvent['event'], text: string, alarm?: AlarmName): void =>
    onEvent({
      at: new Date().toISOString(),
      connector: one.name,
      level,
      event,
      ...(alarm === undefined ? {} : { alarm }),
      text,
    });
  try {
    switch (action.kind) {
      case 'alarm':
        say(loud.has(action.alarm) ? 'error' : 'warning', 'alarm', action.text, action.alarm);
        return;
      case 'clear':
        say('info', 'clear', 'over', action.alarm);
        return;
      case 'restart':
        await one.client.restart(one.name, { onlyFailed: true }, signal);
        say('warning', 'restart', `restarted what had FAILED (${action.attempt} of at most ${action.of} in a row)`);
        return;
      case 'drop-slot':
        if (await dropSlotByForce(one, action.slot, signal)) say('error', 'slot-dropped', droppedText(one.name, action, position));
        return;
    }
  } catch (error) {
    signal.throwIfAborted();
    // The next look decides again.
    say('error', 'action-failed', `${action.kind} failed: ${describeError(error)}`);
  }
}

function droppedText(
  name: string,
  { slot, retainedBytes }: { readonly slot: string; readonly retainedBytes: number },
  position: Lsn | undefined,
): string {
  const since = position === undefined ? 'everything it had not delivered' : `every change after ${formatLsn(position)}`;
  return (
    `DROPPED replication slot ${slot} by policy (dropSlotBytes): it kept ${formatBytes(retainedBytes)} of WAL on the source's disk. ` +
    `${since} is lost to ${name}, which is stopped. To capture again: cdc connectors offsets reset ${name}, then cdc connectors resume ${name} ` +
    '(a new snapshot; rows deleted in between stay in consumers until you fill those again)'
  );
}
