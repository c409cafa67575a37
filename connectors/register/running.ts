import { CdcError } from '#pipeline/index.ts';
import type { ConnectClient } from '../rest/client.ts';
import type { ConnectorOffsets } from '../rest/schemas.ts';
import { formatStatus, summarizeStatus, type StatusSummary } from '../state/status.ts';
import { askUntil } from './wait.ts';

export type WaitOptions = {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((text: string) => void) | undefined;
};

/**
 * Waits until the connector and every one of its tasks (one at least) is RUNNING.
 *
 * @throws CdcError CONNECTOR_FAILED with the root cause in one line, as soon as a part is FAILED, or when the time is over
 */
export async function waitUntilRunning(client: ConnectClient, name: string, options: WaitOptions): Promise<StatusSummary> {
  let shown = '';
  let last: StatusSummary | undefined;
  const running = await askUntil(async () => {
    const status = await client.status(name, options.signal);
    last = status === null ? undefined : summarizeStatus(status);
    const text = last === undefined ? `${name}: not started yet` : formatStatus(last).split('\n', 1).join('');
    if (text !== shown) options.progress?.(text);
    shown = text;
    if (last?.health === 'failed') throw failed(last);
    return last?.health === 'running' ? last : undefined;
  }, options);
  if (running !== null) return running;
  const state =
    last === undefined ? 'has no status' : `is ${last.state} with tasks ${last.tasks.map(({ state: task }) => task).join(', ') || 'none'}`;
  throw new CdcError('CONNECTOR_FAILED', `connector ${name} ${state} after ${options.timeoutMs / 1000} s`);
}

/**
 * Waits until a connector that was PAUSED or STOPPED is so again: after new settings the worker assigns it again, and calls it UNASSIGNED meanwhile.
 *
 * @throws CdcError CONNECTOR_FAILED when it is not within the time
 */
export async function waitUntilHalted(client: ConnectClient, name: string, options: WaitOptions): Promise<StatusSummary> {
  let last: StatusSummary | undefined;
  const halted = await askUntil(async () => {
    const status = await client.status(name, options.signal);
    last = status === null ? undefined : summarizeStatus(status);
    return last?.health === 'halted' ? last : undefined;
  }, options);
  if (halted !== null) return halted;
  throw new CdcError(
    'CONNECTOR_FAILED',
    `connector ${name} is ${last?.state ?? 'gone'} after ${options.timeoutMs / 1000} s, not halted as it was`,
  );
}

/**
 * Waits for a sign of life past RUNNING: a source position that differs from `before`. RUNNING only says that the task has started; a
 * task that cannot reach its publication or its slot fails, or retries, a moment later. False when none came in time.
 *
 * @throws CdcError CONNECTOR_FAILED when a part fails meanwhile
 */
export async function waitForPosition(
  client: ConnectClient,
  name: string,
  before: ConnectorOffsets,
  options: WaitOptions,
): Promise<boolean> {
  const old = JSON.stringify(before);
  const moved = await askUntil(
    async () => {
      const status = await client.status(name, options.signal);
      const summary = status === null ? undefined : summarizeStatus(status);
      if (summary?.health === 'failed') throw failed(summary);
      const offsets = await client.offsets(name, options.signal);
      return hasPosition(offsets) && JSON.stringify(offsets) !== old ? true : undefined;
    },
    { ...options, everyMs: 200 },
  );
  return moved === true;
}

/** The error for a connector that does not run. */
export function failed(summary: StatusSummary): CdcError {
  const place = summary.state === 'FAILED' ? '' : `, task ${summary.tasks.find(({ state }) => state === 'FAILED')?.id ?? '?'}`;
  return new CdcError(
    'CONNECTOR_FAILED',
    `connector ${summary.name}${place} failed: ${summary.cause ?? 'no cause given'}`,
    remedyFor(summary.cause ?? ''),
  );
}

function remedyFor(cause: string): { readonly remedy?: string } {
  if (/no longer available on the server/i.test(cause)) {
    return {
      remedy:
        'The slot was dropped, renamed or invalidated: changes since its position are lost to this connector. Delete the connector and apply it under another name (new topics), or set snapshot.mode=when_needed to read the tables again.',
    };
  }
  if (/publication/i.test(cause)) {
    return { remedy: 'The publication is missing in the source: run cdc connectors prepare (as the owner), then cdc connectors apply.' };
  }
  if (/slot .* is active|already (?:exists|in use|active)/i.test(cause)) {
    return { remedy: 'Another connector or process uses the slot: stop it, or give this connector another slot.name.' };
  }
  return {};
}

/** Debezium's notifications to a topic come with an empty position, which is none. */
function hasPosition(offsets: ConnectorOffsets): boolean {
  return offsets.some(({ offset }) => offset !== null && Object.keys(offset).length > 0);
}

/** How far a Debezium connector is, by its offsets: no position yet, reading the tables, or past them and following the log. */
export function snapshotState(offsets: ConnectorOffsets): 'none' | 'snapshot' | 'streaming' {
  if (!hasPosition(offsets)) return 'none';
  // While the snapshot runs its positions say so: `snapshot` (INITIAL …) with `snapshot_completed` false.
  return offsets.every(({ offset }) => offset !== null && !('snapshot' in offset)) ? 'streaming' : 'snapshot';
}

/**
 * Waits until a Debezium connector has read its snapshot and follows the log.
 *
 * @throws CdcError CONNECTOR_FAILED when a part fails meanwhile, or when the time is over
 */
export async function waitForStreaming(client: ConnectClient, name: string, options: WaitOptions): Promise<void> {
  let state = 'none';
  const streaming = await askUntil(async () => {
    const status = await client.status(name, options.signal);
    const found = status === null ? undefined : summarizeStatus(status);
    if (found?.health === 'failed') throw failed(found);
    state = snapshotState(await client.offsets(name, options.signal));
    return state === 'streaming' ? true : undefined;
  }, options);
  if (streaming === null) {
    throw new CdcError(
      'CONNECTOR_FAILED',
      `connector ${name} does not follow the log after ${options.timeoutMs / 1000} s (position: ${state})`,
    );
  }
}
