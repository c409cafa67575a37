import type { ClientConfig } from 'pg';
import { describeError } from '#pipeline/index.ts';
import type { ConnectorConfig } from '../config-file.ts';
import { judgeLoss, positionOf } from '../loss.ts';
import type { ConnectClient } from '../rest/client.ts';
import type { Lsn } from '../source/lsn.ts';
import { hasHeartbeat, publicationOf, unpublishedTables } from '../source/expectations.ts';
import { snapshotState } from '../running.ts';
import { readSourceState, type SourceState } from '../source/slot-state.ts';
import { summarizeStatus } from '../status.ts';
import type { GuardView } from './decide.ts';

/** A connector under guard. */
export type Guarded = {
  readonly name: string;
  readonly config: ConnectorConfig;
  readonly client: ConnectClient;
  /** The replicator's login. */
  readonly source: ClientConfig;
};

export type Look = { readonly view: GuardView; readonly position: Lsn | undefined };

/**
 * Looks at Connect and at the source, each for itself: when one does not answer, the other is still seen. `lastPosition` stands in for
 * the position while Connect is away, so that a loss in the source is seen then too.
 */
export async function look({ name, config, client, source }: Guarded, lastPosition: Lsn | undefined, signal: AbortSignal): Promise<Look> {
  const slotName = config['slot.name'] ?? 'debezium';
  // The source first; see judgeLoss.
  const seen = await attempt(() => readSourceState(source, slotName, publicationOf(config)), signal);
  const asked = await attempt(() => ask(client, name, signal), signal);
  const position = 'value' in asked ? asked.value.position : lastPosition;
  const beats = hasHeartbeat(config) && 'value' in asked && asked.value.streams;
  return {
    position,
    view: {
      at: performance.now(),
      ...('value' in asked
        ? { connector: asked.value.connector, cause: asked.value.cause }
        : { connector: 'unknown' as const, cause: asked.failure }),
      source:
        'value' in seen
          ? sourceView(config, slotName, beats ? seen.value : { ...seen.value, beatAgeMs: null }, position)
          : { kind: 'unknown', cause: seen.failure },
    },
  };
}

function sourceView(
  config: ConnectorConfig,
  slotName: string,
  { slot, beatAgeMs, published }: SourceState,
  position: Lsn | undefined,
): GuardView['source'] {
  return {
    kind: 'seen',
    slot: slot === null ? null : { name: slot.name, retainedBytes: slot.retainedBytes },
    beatAgeMs,
    loss: judgeLoss(slotName, slot, position),
    unpublished: unpublishedTables(config, published),
    publication: publicationOf(config),
  };
}

type Answer = {
  readonly connector: GuardView['connector'];
  readonly cause?: string | undefined;
  readonly position: Lsn | undefined;
  /** Past its first snapshot: before, there are no heartbeats. */
  readonly streams: boolean;
};

async function ask(client: ConnectClient, name: string, signal: AbortSignal): Promise<Answer> {
  if ((await client.config(name, signal)) === null) return { connector: 'absent', position: undefined, streams: false };
  const status = await client.status(name, signal);
  const offsets = await client.offsets(name, signal);
  const known = { position: positionOf(offsets), streams: snapshotState(offsets) === 'streaming' };
  if (status === null) return { connector: 'pending', ...known };
  const { health, cause } = summarizeStatus(status);
  return { connector: health, cause, ...known };
}

async function attempt<T>(work: () => Promise<T>, signal: AbortSignal): Promise<{ readonly value: T } | { readonly failure: string }> {
  try {
    return { value: await work() };
  } catch (error) {
    signal.throwIfAborted();
    return { failure: describeError(error) };
  }
}
