import { randomUUID } from 'node:crypto';
import type { Kafka } from '#kafka/port.ts';
import { CdcError } from '#pipeline/index.ts';
import type { Source } from '../mariadb/mariadb-source.ts';
import type { ConnectorConfig } from '../config-file.ts';
import type { ConnectClient } from '../rest/client.ts';
import { failed } from '../register/running.ts';
import { summarizeStatus } from '../state/status.ts';
import { askUntil } from '../register/wait.ts';
import { formatProgress, snapshotProgress } from './progress.ts';
import { executeSnapshot, requireCondition, requireReadable, sendSignal, signalChannel, stopSnapshot, type HasPassed } from './signal.ts';
import type { SnapshotRequest } from './request.ts';

/** A running connector, and the ways to it. */
export type SnapshotTarget = {
  readonly name: string;
  readonly config: ConnectorConfig;
  readonly client: ConnectClient;
  readonly kafka: Kafka;
  /** The replicator, for the signal table. */
  readonly source: Source;
};

export type SnapshotWait = {
  /** Longest time without progress, in ms; 0: do not wait for the end. */
  readonly silenceMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((text: string) => void) | undefined;
};

/** `asked`: the end was not waited for, or the signal went through a topic, where its arrival cannot be seen. */
export type SnapshotResult = { readonly id: string; readonly outcome: 'asked' | 'over' };

/**
 * Has a running connector read tables again, in chunks, beside the stream: rows come as `r` events, and no row that changes meanwhile is
 * overtaken by its older self. Follows it in the connector's position to its end. One that somebody aborts ends in the same way.
 *
 * @throws CdcError SNAPSHOT_FAILED for a table that cannot be read so, or without progress for too long; CONNECTOR_FAILED;
 *   CONNECTOR_CONFIG_INVALID without a signal channel
 */
export async function snapshotTables(target: SnapshotTarget, request: SnapshotRequest, wait: SnapshotWait): Promise<SnapshotResult> {
  const channel = signalChannel(target.name, target.config);
  await requireReadable(target.source, request.tables);
  await requireCondition(target.source, request);
  const signal = executeSnapshot(randomUUID(), request);
  const heard = await sendSignal(channel, signal, target);
  if (wait.silenceMs === 0 || heard === undefined) return { id: signal.id, outcome: 'asked' };
  await untilOver(target, signal.id, heard, wait);
  return { id: signal.id, outcome: 'over' };
}

/**
 * Ends a running incremental snapshot (of these tables, or of all); what it has read so far stays published. When none runs, nothing
 * happens, and the connector says nothing.
 */
export async function abortSnapshot(target: SnapshotTarget, tables: readonly string[]): Promise<void> {
  await sendSignal(signalChannel(target.name, target.config), stopSnapshot(randomUUID(), tables), target);
}

/**
 * It is over when it was seen and is gone, or when the connector is past the signal (not just at it) and none runs: a short one comes and
 * goes between two looks.
 */
async function untilOver(
  { name, client }: SnapshotTarget,
  id: string,
  heard: HasPassed,
  { silenceMs, signal, progress }: SnapshotWait,
): Promise<void> {
  let seen = false;
  let shown = '';
  for (;;) {
    const news = await askUntil(
      async () => {
        const status = await client.status(name, signal);
        const summary = status === null ? undefined : summarizeStatus(status);
        if (summary?.health === 'failed') throw failed(summary);
        const offsets = await client.offsets(name, signal);
        const running = snapshotProgress(offsets);
        if (running === null) return seen || heard(offsets) ? 'over' : undefined;
        seen ||= running.id === id;
        const text = formatProgress(running);
        return text === shown ? undefined : text;
      },
      { timeoutMs: silenceMs, signal },
    );
    if (news === 'over') return;
    if (news === null) {
      throw new CdcError('SNAPSHOT_FAILED', `connector ${name}: no progress of the snapshot for ${silenceMs / 1000} s`);
    }
    shown = news;
    progress?.(news);
  }
}
