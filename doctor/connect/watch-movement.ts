import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectClient } from '#connectors/rest/client.ts';
import type { ConnectorOffsets } from '#connectors/rest/schemas.ts';
import type { Finding } from '../finding.ts';
import { judgeMovement, mayBeStalled, rhythmOf, secondExaminationMs, shouldMove, type HeartbeatState } from './judge-movement.ts';
import type { ConnectorFacts } from './probe-connect.ts';

/** A connector that should move, and how to see whether it does. */
export type Watched = {
  readonly connector: ConnectorFacts | undefined;
  readonly client: ConnectClient | undefined;
  /** connect.guard.warnHeartbeatMs */
  readonly warnMs: number;
  /** The log brings each beat back to the connector. */
  readonly published: boolean;
  /** Undefined: it could not be seen, which is reported already. */
  readonly readState: () => Promise<HeartbeatState | undefined>;
  readonly signal: AbortSignal;
};

/**
 * Examines whether a connector that Connect calls RUNNING moves; a second time, up to 15 s later, only where the first gives reason to:
 * one that is behind, or has just started, is not stalled.
 */
export async function watchMovement({ connector, client, warnMs, published, readState, signal }: Watched): Promise<readonly Finding[]> {
  if (connector === undefined || client === undefined || connector.running === null || !shouldMove(connector)) return [];
  const rhythm = rhythmOf(connector.running, warnMs, published);
  const seen = await readState();
  if (seen === undefined) return [];
  const first = { heartbeat: seen, offsets: connector.offsets };
  if (!mayBeStalled(first, rhythm)) return [];
  await delay(secondExaminationMs(rhythm), undefined, { signal });
  const again = await readState();
  if (again === undefined) return [];
  // Where Connect did not report it a moment ago it would only keep everybody waiting.
  const offsets = connector.offsets === null ? null : await positionNow(client, connector.name, signal);
  return judgeMovement(connector, first, { heartbeat: again, offsets }, rhythm);
}

async function positionNow(client: ConnectClient, name: string, signal: AbortSignal): Promise<ConnectorOffsets | null> {
  try {
    return await client.offsets(name, AbortSignal.any([signal, AbortSignal.timeout(10_000)]));
  } catch {
    signal.throwIfAborted();
    return null;
  }
}
