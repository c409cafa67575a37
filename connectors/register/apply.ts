import { CdcError, describeError } from '#pipeline/index.ts';
import type { ConnectorConfig, ConnectorFile } from '../config-file.ts';
import { stopAndWait } from '../state/offsets.ts';
import { planChanges, type Plan } from './plan.ts';
import type { ConnectClient } from '../rest/client.ts';
import type { ConnectorOffsets } from '../rest/schemas.ts';
import { failed, waitForPosition, waitUntilHalted, waitUntilRunning, type WaitOptions } from './running.ts';
import { summarizeStatus, type StatusSummary } from '../state/status.ts';
import { configProblems, formatProblems, unknownKeys } from './validation.ts';

export type ApplyOptions = {
  /** For each of: reaching RUNNING, and the first position after it. Default 60 s and 15 s. */
  readonly timeoutMs?: number;
  readonly positionTimeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((text: string) => void) | undefined;
};

export type ApplyResult = {
  readonly name: string;
  readonly action: Plan['action'];
  readonly changes: Plan['changes'];
  readonly status: StatusSummary;
  /** Settings that the plugin does not declare and probably ignores. */
  readonly unknownKeys: readonly string[];
  /** Whether the connector reported a new source position; false: it runs, but has nothing to say yet, or is retrying. */
  readonly positionSeen: boolean;
  /** Nothing differed, but it had FAILED with these very settings, and was restarted. */
  readonly restarted: boolean;
};

/**
 * Asks the server whether it would take `file`'s settings. Creates nothing.
 *
 * @throws CdcError CONNECTOR_CONFIG_INVALID naming every wrong field
 */
export async function validateConnector(client: ConnectClient, file: ConnectorFile, signal?: AbortSignal): Promise<readonly string[]> {
  const validation = await client.validate(file.config, signal);
  const problems = configProblems(file.config, validation);
  if (problems.length > 0) throw new CdcError('CONNECTOR_CONFIG_INVALID', `connector ${file.name}:\n${formatProblems(problems)}`);
  return unknownKeys(file.config, validation);
}

/**
 * Makes Connect run `file`: validates on the server, creates or updates, waits until the connector and every task is RUNNING and a
 * position was reported. If that fails, or is aborted, the previous settings are put back and run again (a new connector is deleted).
 * When nothing differs and it runs, nothing is touched: no restart. One that has FAILED with the same settings is restarted, once, and judged by what
 * comes of it: the cause may be gone. A connector that somebody paused or stopped keeps that state.
 *
 * @throws CdcError CONNECTOR_CONFIG_INVALID (nothing was changed), CONNECTOR_FAILED (it says what is in force now), CONNECT_*
 */
export async function applyConnector(client: ConnectClient, file: ConnectorFile, options: ApplyOptions = {}): Promise<ApplyResult> {
  const { signal, progress } = options;
  const wait = { timeoutMs: options.timeoutMs ?? 60_000, signal, progress };
  const { name, config } = file;
  const previous = await client.config(name, signal);
  const plan = planChanges(previous, config);
  if (previous !== null && plan.action === 'none') {
    const positionWait = { ...wait, timeoutMs: options.positionTimeoutMs ?? 15_000 };
    return { name, ...plan, unknownKeys: [], ...(await settled(client, name, wait, positionWait)) };
  }
  progress?.(`${name}: validating`);
  const ignored = await validateConnector(client, file, signal);
  const halted = previous !== null && (await isHalted(client, name, signal));
  try {
    let before: ConnectorOffsets = [];
    if (previous === null) await client.putConfig(name, config, signal);
    else before = await replaceConfig(client, name, config, halted, wait);
    const restarted = false;
    if (halted)
      return { name, ...plan, status: await waitUntilHalted(client, name, wait), unknownKeys: ignored, positionSeen: true, restarted };
    const status = await waitUntilRunning(client, name, wait);
    const positionSeen = await waitForPosition(client, name, before, { ...wait, timeoutMs: options.positionTimeoutMs ?? 15_000 });
    return { name, ...plan, status, unknownKeys: ignored, positionSeen, restarted };
  } catch (error) {
    progress?.(`${name}: failed; undoing`);
    const outcome = await undo(client, name, previous, halted);
    if (!(error instanceof CdcError)) throw error;
    throw new CdcError(error.code, `${error.message}\n${outcome}`, { cause: error, remedy: error.remedy });
  }
}

/**
 * Stops first: a status read after that speaks of the new tasks, where RUNNING could otherwise still be the old ones'. Returns the position
 * at which the old tasks ended: one that was read while they ran is overtaken by what they write when they stop, which would pass for the
 * new tasks' first.
 */
async function replaceConfig(
  client: ConnectClient,
  name: string,
  config: ConnectorConfig,
  halted: boolean,
  wait: WaitOptions,
): Promise<ConnectorOffsets> {
  if (!halted) {
    wait.progress?.(`${name}: stopping to change its settings`);
    await stopAndWait(client, name, wait);
  }
  const ended = await client.offsets(name, wait.signal);
  await client.putConfig(name, config, wait.signal);
  if (!halted) await client.resume(name, wait.signal);
  return ended;
}

/** Runs without the caller's signal: an abort must not leave the connector stopped. Returns what is in force now, in one sentence. */
async function undo(client: ConnectClient, name: string, previous: ConnectorConfig | null, halted: boolean): Promise<string> {
  try {
    if (previous === null) {
      if ((await client.config(name)) !== null) await client.delete(name);
      return `The new connector ${name} was deleted again; a replication slot that it may have made is still there (delete --drop-slot).`;
    }
    await replaceConfig(client, name, previous, halted, { timeoutMs: 30_000 });
    if (halted) return `The previous configuration of ${name} is back; the connector is halted, as it was.`;
    await waitUntilRunning(client, name, { timeoutMs: 30_000 });
    return `The previous configuration of ${name} is back and RUNNING.`;
  } catch (error) {
    return `Putting the previous configuration of ${name} back failed too: ${describeError(error)}`;
  }
}

type Settled = Pick<ApplyResult, 'status' | 'positionSeen' | 'restarted'>;

/** Of a connector whose settings are as they should be: waits until it runs. What has FAILED is restarted once. */
async function settled(client: ConnectClient, name: string, wait: WaitOptions, positionWait: WaitOptions): Promise<Settled> {
  if (await isHalted(client, name, wait.signal)) return { status: await summary(client, name), positionSeen: true, restarted: false };
  let before: string;
  try {
    return { status: await waitUntilRunning(client, name, wait), positionSeen: true, restarted: false };
  } catch (error) {
    const found = await client.status(name, wait.signal);
    if (!isFailure(error) || found === null || summarizeStatus(found).health !== 'failed') throw error;
    before = error.message;
  }
  wait.progress?.(`${before}; nothing differs: restarting it`);
  try {
    const ended = await restartAll(client, name, wait);
    const status = await waitUntilRunning(client, name, wait);
    return { status, positionSeen: await waitForPosition(client, name, ended, positionWait), restarted: true };
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw new CdcError(error.code, `${error.message}\nNothing differs from the file; it had FAILED before, and was restarted once.`, {
      cause: error,
      remedy: error.remedy,
    });
  }
}

/** Stopped and resumed rather than restarted: FAILED could otherwise still be the old task's word. Returns the position at which the old tasks ended. */
async function restartAll(client: ConnectClient, name: string, wait: WaitOptions): Promise<ConnectorOffsets> {
  try {
    await stopAndWait(client, name, wait);
    return await client.offsets(name, wait.signal);
  } finally {
    // Without the caller's signal: an abort must not leave it stopped.
    await client.resume(name);
  }
}

function isFailure(error: unknown): error is CdcError {
  return error instanceof CdcError && error.code === 'CONNECTOR_FAILED';
}

async function isHalted(client: ConnectClient, name: string, signal: AbortSignal | undefined): Promise<boolean> {
  const status = await client.status(name, signal);
  return status !== null && summarizeStatus(status).health === 'halted';
}

async function summary(client: ConnectClient, name: string): Promise<StatusSummary> {
  const status = await client.status(name);
  if (status === null) throw new CdcError('CONNECTOR_NOT_FOUND', `there is no connector ${name} at ${client.url}`);
  const found = summarizeStatus(status);
  if (found.health === 'failed') throw failed(found);
  return found;
}
