import { describeError } from '#pipeline/index.ts';
import { lossOf, readBinlogState } from '../mariadb/lag.ts';
import { isMariadb, type MariadbSource, type Source } from '../mariadb/mariadb-source.ts';
import { binlogPositionOf } from '../mariadb/position.ts';
import type { ConnectorConfig } from '../config-file.ts';
import { beatEveryMs } from '../heartbeat.ts';
import { judgeLoss, ofOldPosition, positionOf, type LossVerdict } from '../state/loss.ts';
import type { ConnectClient } from '../rest/client.ts';
import type { ConnectorOffsets } from '../rest/schemas.ts';
import { hasHeartbeat, publicationOf, unpublishedTables } from '../postgres/facts/expectations.ts';
import { snapshotState } from '../register/running.ts';
import { readSourceState, type SourceState } from '../postgres/facts/slot-state.ts';
import { summarizeStatus } from '../state/status.ts';
import type { GuardView } from './decide.ts';

/** A connector under guard. */
export type Guarded = {
  readonly name: string;
  readonly config: ConnectorConfig;
  readonly client: ConnectClient;
  /** The replicator's login. */
  readonly source: Source;
};

export type Observation = { readonly view: GuardView; readonly offsets: ConnectorOffsets };

/**
 * Looks at Connect and at the source, each for itself: when one does not answer, the other is still seen. `lastOffsets` replace
 * the position while Connect is away, so that a slot that is gone is seen then too.
 */
export async function observe(guarded: Guarded, lastOffsets: ConnectorOffsets, signal: AbortSignal): Promise<Observation> {
  const { name, config, client, source } = guarded;
  if (isMariadb(source)) return observeBinlog(guarded, source, lastOffsets, signal);
  const slotName = config['slot.name'] ?? 'debezium';
  // The source first; see judgeLoss.
  const seen = await attempt(() => readSourceState(source, slotName, publicationOf(config)), signal);
  const asked = await attempt(() => ask(client, name, signal), signal);
  const offsets = 'value' in asked ? asked.value.offsets : lastOffsets;
  const position = positionOf(offsets);
  const judge = (slot: SourceState['slot']): LossVerdict => {
    const verdict = judgeLoss(slotName, slot, position);
    return 'value' in asked ? verdict : ofOldPosition(verdict);
  };
  const beats = hasHeartbeat(config) && 'value' in asked && asked.value.streams;
  return {
    offsets,
    view: {
      ...connectorView(asked),
      source:
        'value' in seen
          ? sourceView(config, beats ? seen.value : { ...seen.value, beatAgeMs: null }, judge)
          : { kind: 'unknown', cause: seen.failure },
    },
  };
}

/** Connect first; see judgeBinlogLoss. A binlog has no slot: nothing keeps it for the connector, and nothing fills the disk for it. */
async function observeBinlog(
  { name, config, client }: Guarded,
  source: MariadbSource,
  last: ConnectorOffsets,
  signal: AbortSignal,
): Promise<Observation> {
  const asked = await attempt(() => ask(client, name, signal), signal);
  const seen = await attempt(() => readBinlogState(source, config), signal);
  const offsets = 'value' in asked ? asked.value.offsets : last;
  const view = connectorView(asked);
  if ('failure' in seen) return { offsets, view: { ...view, source: { kind: 'unknown', cause: seen.failure } } };
  const loss = lossOf(binlogPositionOf(offsets), seen.value.binlog);
  if (loss.kind === 'unknown') return { offsets, view: { ...view, source: { kind: 'unknown', cause: loss.text } } };
  const beatAgeMs = hasHeartbeat(config) && 'value' in asked && asked.value.streams ? seen.value.beatAgeMs : null;
  return {
    offsets,
    view: {
      ...view,
      source: {
        kind: 'seen',
        slot: null,
        beatAgeMs,
        beatEveryMs: beatEveryMs(config),
        loss,
        unpublished: seen.value.unseen,
        publication: null,
      },
    },
  };
}

function connectorView(asked: Attempt<Answer>): Omit<GuardView, 'source'> {
  const at = performance.now();
  return 'value' in asked
    ? { at, connector: asked.value.connector, cause: asked.value.cause }
    : { at, connector: 'unknown', cause: asked.failure };
}

function sourceView(
  config: ConnectorConfig,
  { slot, beatAgeMs, published }: SourceState,
  judge: (slot: SourceState['slot']) => LossVerdict,
): GuardView['source'] {
  return {
    kind: 'seen',
    slot: slot === null ? null : { name: slot.name, retainedBytes: slot.retainedBytes },
    beatAgeMs,
    beatEveryMs: beatEveryMs(config),
    loss: judge(slot),
    unpublished: unpublishedTables(config, published),
    publication: publicationOf(config),
  };
}

type Answer = {
  readonly connector: GuardView['connector'];
  readonly cause?: string | undefined;
  readonly offsets: ConnectorOffsets;
  /** Past its first snapshot: before, there are no heartbeats. */
  readonly streams: boolean;
};

async function ask(client: ConnectClient, name: string, signal: AbortSignal): Promise<Answer> {
  if ((await client.config(name, signal)) === null) return { connector: 'absent', offsets: [], streams: false };
  const status = await client.status(name, signal);
  const offsets = await client.offsets(name, signal);
  const known = { offsets, streams: snapshotState(offsets) === 'streaming' };
  if (status === null) return { connector: 'pending', ...known };
  const { health, cause } = summarizeStatus(status);
  return { connector: health, cause, ...known };
}

type Attempt<T> = { readonly value: T } | { readonly failure: string };

async function attempt<T>(work: () => Promise<T>, signal: AbortSignal): Promise<Attempt<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    signal.throwIfAborted();
    return { failure: describeError(error) };
  }
}
