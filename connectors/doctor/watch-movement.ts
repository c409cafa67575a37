import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectClient } from '../rest/client.ts';
import type { ConnectorOffsets } from '../rest/schemas.ts';
import type { Finding } from './finding.ts';
import { judgeMovement, looksStalled, rhythmOf, secondLookMs, shouldMove, type Pulse } from './judge/movement.ts';
import type { ConnectorFacts } from './probe/connect.ts';

/** A connector that should move, and how to look whether it does. */
export type Watched = {
  readonly connector: ConnectorFacts | undefined;
  readonly client: ConnectClient | undefined;
  /** connect.guard.warnHeartbeatMs */
  readonly warnMs: number;
  /** The log brings each beat back to the connector. */
  readonly published: boolean;
  /** Undefined: it could not be seen, which is told already. */
  readonly pulse: () => Promise<Pulse | undefined>;
  readonly signal: AbortSignal;
};

/**
 * Looks whether a connector that Connect calls RUNNING moves. Looks a second time, up to 15 s later, only where the first look gives reason to:
 * one that is behind, or has just started, is not stalled.
 */
export async function watchMovement({ connector, client, warnMs, published, pulse, signal }: Watched): Promise<readonly Finding[]> {
  if (connector === undefined || client === undefined || connector.running === null || !shouldMove(connector)) return [];
  const rhythm = rhythmOf(connector.running, warnMs, published);
  const seen = await pulse();
  if (seen === undefined) return [];
  const first = { pulse: seen, offsets: connector.offsets };
  if (!looksStalled(first, rhythm)) return [];
  await delay(secondLookMs(rhythm), undefined, { signal });
  const again = await pulse();
  if (again === undefined) return [];
  // Where Connect did not tell it a moment ago it would only keep everybody waiting.
  const offsets = connector.offsets === null ? null : await positionNow(client, connector.name, signal);
  return judgeMovement(connector, first, { pulse: again, offsets }, rhythm);
}

async function positionNow(client: ConnectClient, name: string, signal: AbortSignal): Promise<ConnectorOffsets | null> {
  try {
    return await client.offsets(name, AbortSignal.any([signal, AbortSignal.timeout(10_000)]));
  } catch {
    signal.throwIfAborted();
    return null;
  }
}
