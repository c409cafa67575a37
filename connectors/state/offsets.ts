import type { Move } from './loss.ts';
import * as z from 'zod';
import { CdcError, describeError } from '#pipeline/index.ts';
import { binlogPositionOf, formatPlace } from '../mariadb/position.ts';
import { positionOf } from './loss.ts';
import type { ConnectClient } from '../rest/client.ts';
import { offsetsSchema, type ConnectorOffsets } from '../rest/schemas.ts';
import type { WaitOptions } from '../register/running.ts';
import { formatBytes, formatLsn, parseLsn, type Lsn } from '../postgres/lsn.ts';
import type { SlotState } from '../postgres/facts/slot-state.ts';
import { askUntil } from '../register/wait.ts';

/**
 * Reads a position as `cdc connectors offsets show --json` prints it.
 *
 * @throws CdcError OFFSETS_REFUSED
 */
export function parseOffsets(text: string, place: string): ConnectorOffsets {
  try {
    return offsetsSchema.shape.offsets.min(1, 'expected a position').parse(JSON.parse(text));
  } catch (error) {
    const what = error instanceof z.ZodError ? z.prettifyError(error) : describeError(error);
    throw new CdcError('OFFSETS_REFUSED', `${place} is no position: ${what}`, { cause: error });
  }
}

export function judgeMove(current: Lsn | undefined, wanted: Lsn | undefined, slot: SlotState | null): Move {
  if (wanted === undefined) return { kind: 'unknown' };
  const slotAt = slot?.confirmedLsn === null || slot === null ? undefined : parseLsn(slot.confirmedLsn);
  if (slotAt !== undefined && wanted < slotAt) return { kind: 'before-slot', missing: slotAt - wanted, slotAt };
  if (current === undefined) return { kind: 'unknown' };
  if (wanted === current) return { kind: 'none' };
  return wanted < current ? { kind: 'back', repeated: current - wanted } : { kind: 'forward', skipped: wanted - current };
}

/** The move in a sentence. */
export function formatMove(move: Move): string {
  switch (move.kind) {
    case 'none':
      return 'the position stays';
    case 'unknown':
      return 'the position cannot be compared with the present one';
    case 'back':
      return `${formatBytes(move.repeated)} of log is published again`;
    case 'forward':
      return `the changes in ${formatBytes(move.skipped)} of log are skipped`;
    case 'not-in-log':
      return `the server's binlog does not hold ${move.place}`;
    case 'before-slot':
      return `the slot begins at ${formatLsn(move.slotAt)}, ${formatBytes(move.missing)} after it: that log is gone`;
  }
}

/**
 * Refuses a move that loses changes, unless `force` says that this is wanted.
 *
 * @throws CdcError OFFSETS_REFUSED
 */
export function refuseLossyMove(name: string, move: Move, force: boolean): void {
  if (force || (move.kind !== 'forward' && move.kind !== 'before-slot' && move.kind !== 'not-in-log')) return;
  throw new CdcError('OFFSETS_REFUSED', `connector ${name}: ${formatMove(move)}`, {
    remedy: 'If that is wanted, repeat it with --force.',
  });
}

/**
 * Refuses a position that belongs to no source of the connector: Connect would take it, and the connector never look at it.
 *
 * @throws CdcError OFFSETS_REFUSED
 */
export function refuseOtherPartition(name: string, current: ConnectorOffsets, wanted: ConnectorOffsets): void {
  const known = current.map(({ partition }) => partitionText(partition));
  const other = wanted.map(({ partition }) => partitionText(partition)).find((partition) => !known.includes(partition));
  if (other === undefined || known.length === 0) return;
  throw new CdcError('OFFSETS_REFUSED', `connector ${name} has no position of ${other}; it has one of ${known.join(', ')}`, {
    remedy: `Take the partition from cdc connectors offsets show ${name} --json.`,
  });
}

function partitionText(partition: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(partition).toSorted(([a], [b]) => (a < b ? -1 : 1))));
}

/**
 * Changes a connector's position in the only safe order: stop and wait until its tasks are gone, `change`, and go on as it was before
 * (a connector that somebody had paused or stopped stays stopped). When `change` fails, it goes on too, from its old position.
 *
 * @throws CdcError CONNECTOR_NOT_FOUND, CONNECTOR_FAILED when it does not stop in time, CONNECT_*, what `change` throws
 */
export async function whileStopped(
  client: ConnectClient,
  name: string,
  change: () => Promise<void>,
  options: WaitOptions,
): Promise<'resumed' | 'stopped'> {
  const { signal, progress } = options;
  const before = (await client.status(name, signal))?.connector.state;
  if (before === undefined) throw new CdcError('CONNECTOR_NOT_FOUND', `there is no connector ${name} at ${client.url}`);
  const halted = before === 'PAUSED' || before === 'STOPPED';
  try {
    progress?.(`${name}: stopping`);
    await stopAndWait(client, name, options);
    signal?.throwIfAborted();
    await change();
  } finally {
    // Without the caller's signal: an abort must not leave it stopped.
    if (!halted) await client.resume(name);
  }
  return halted ? 'stopped' : 'resumed';
}

/** Stops a connector and waits until its last task is gone. @throws CdcError CONNECTOR_FAILED */
export async function stopAndWait(client: ConnectClient, name: string, { timeoutMs, signal }: WaitOptions): Promise<void> {
  await client.stop(name, signal);
  const stopped = await askUntil(
    async () => {
      const status = await client.status(name, signal);
      return status?.connector.state === 'STOPPED' && status.tasks.length === 0 ? true : undefined;
    },
    { timeoutMs, signal },
  );
  if (stopped === null) throw new CdcError('CONNECTOR_FAILED', `connector ${name} does not stop within ${timeoutMs / 1000} s`);
}

/** `wanted` in place of what is there now. @throws CdcError OFFSETS_REFUSED when Connect does not take it */
export async function setOffsets(client: ConnectClient, name: string, wanted: ConnectorOffsets, options: WaitOptions): Promise<void> {
  await client.alterOffsets(name, wanted, options.signal);
  const taken = await client.offsets(name, options.signal);
  if (placeOf(taken) === placeOf(wanted)) return;
  throw new CdcError('OFFSETS_REFUSED', `connector ${name}: Connect shows another position after it was set`);
}

/** The position as text, of whatever log. */
function placeOf(offsets: ConnectorOffsets): string {
  const binlog = binlogPositionOf(offsets);
  return binlog === undefined ? String(positionOf(offsets)) : formatPlace(binlog);
}
