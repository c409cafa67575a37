import { CdcError, describeError, type CliContext } from '#pipeline/index.ts';
import { applyConnector, validateConnector, type ApplyResult } from '../register/apply.ts';
import { readLag } from '../state/lag.ts';
import { isMariadb, type Source } from '../mariadb/mariadb-source.ts';
import { capturesLess } from '../register/plan.ts';
import { formatPlan, planChanges } from '../register/plan.ts';
import type { ConnectClient } from '../rest/client.ts';
import { literalSecrets } from '../secrets.ts';
import type { ConnectorFile } from '../config-file.ts';
import { renderStrimzi } from '../strimzi.ts';
import { requireFitTables } from '../postgres/unfit-tables.ts';
import { listLostColumns } from '../postgres/facts/lost-columns.ts';
import { clientOf, filesOf, replicatorIfConfigured, toJson, type JsonOption } from './connect-context.ts';

const differs = 2;

/** The files that are asked for, whose tables can be captured beside those of all files. @throws CdcError CONNECTOR_CONFIG_INVALID */
async function fitFiles(context: CliContext, names: readonly string[]): Promise<readonly ConnectorFile[]> {
  const files = await filesOf(context, names);
  requireFitTables(await filesOf(context), files);
  return files;
}

export async function validateAll(context: CliContext, names: readonly string[]): Promise<void> {
  const client = await clientOf(context);
  for (const file of await fitFiles(context, names)) {
    warn(context, file, await validateConnector(client, file, context.signal));
    context.print(`${file.name}: valid`);
  }
}

export async function planAll(context: CliContext, names: readonly string[], { json = false }: JsonOption): Promise<void> {
  const client = await clientOf(context);
  const files = await fitFiles(context, names);
  for (const file of files) await warnOfLosses(context, file);
  const plans = await Promise.all(
    files.map(async (file) => ({
      name: file.name,
      ...planChanges(await client.config(file.name, context.signal), file.config),
    })),
  );
  context.print(json ? toJson(plans) : plans.map((plan) => formatPlan(plan.name, plan)).join('\n'));
  if (plans.some(({ action }) => action !== 'none')) context.setExitCode(differs);
}

export async function applyAll(
  context: CliContext,
  names: readonly string[],
  { json = false, timeout, keepCaptured = false }: JsonOption & { readonly timeout: string; readonly keepCaptured?: boolean },
): Promise<void> {
  const timeoutMs = Number(timeout) * 1000;
  if (!(timeoutMs > 0))
    throw new CdcError('CONFIG_INVALID', `--timeout ${timeout}: expected a number of seconds`, { remedy: 'For example: --timeout 120' });
  const client = await clientOf(context);
  const replicator = await replicatorIfConfigured(context);
  const results: ApplyResult[] = [];
  const files = await fitFiles(context, names);
  if (keepCaptured) for (const file of files) await refuseLess(context, client, file);
  for (const file of files) {
    await warnOfLosses(context, file);
    if (replicator !== undefined) await refuseLoss(context, client, replicator, file);
    const result = await applyConnector(client, file, { timeoutMs, signal: context.signal, progress: context.progress });
    warn(context, file, result.unknownKeys);
    if (!result.positionSeen) {
      context.progress(`${file.name}: runs, but reported no position yet: look at cdc connectors status in a moment`);
    }
    results.push(result);
    if (!json) context.print(formatResult(result));
  }
  if (json) context.print(toJson(results));
}

/**
 * Files that are older than what runs would take tables away, silently: changes until somebody notices would be lost to consumers.
 *
 * @throws CdcError CONNECTOR_CAPTURES_LESS
 */
async function refuseLess(context: CliContext, client: ConnectClient, { name, config }: ConnectorFile): Promise<void> {
  const running = await client.config(name, context.signal);
  if (running === null) return;
  const less = capturesLess(running, config);
  if (less.length > 0) throw new CdcError('CONNECTOR_CAPTURES_LESS', `connector ${name} would no longer capture ${less.join(', ')}`);
}

/**
 * A connector whose slot no longer holds what follows its position is not started over the hole, not even when only settings change.
 * Where this machine cannot ask the source, it says so and leaves the judgement to Debezium, which looks too when it starts.
 *
 * @throws CdcError CONNECTOR_EVENTS_LOST
 */
async function refuseLoss(context: CliContext, client: ConnectClient, replicator: Source, { name, config }: ConnectorFile): Promise<void> {
  if ((await client.config(name, context.signal)) === null) return;
  let lag: Awaited<ReturnType<typeof readLag>>;
  try {
    lag = await readLag(client, replicator, name, config, context.signal);
  } catch (error) {
    if (!(error instanceof CdcError) || !error.code.startsWith('LEGACY_')) throw error;
    context.progress(`${name}: whether its slot still holds everything could not be seen: ${error.message}`);
    return;
  }
  if (lag?.loss.kind !== 'lost') return;
  throw new CdcError('CONNECTOR_EVENTS_LOST', `connector ${name}: ${lag.loss.text}; nothing was changed`, {
    remedy: `cdc connectors offsets reset ${name}${'slotName' in lag ? ' --drop-slot' : ''} takes a new snapshot; rows deleted in between stay in consumers until you fill those again.`,
  });
}

/** What Debezium will not carry, of which it says nothing itself: cdc doctor has it as VALUES_LOST and VALUES_STOP_CONNECTOR. */
async function warnOfLosses(context: CliContext, file: ConnectorFile): Promise<void> {
  const source = await replicatorIfConfigured(context);
  if (source === undefined || isMariadb(source)) return;
  try {
    for (const what of await listLostColumns(source, file)) context.progress(`${file.name}: ${what} (cdc doctor says more)`);
  } catch (error) {
    context.signal.throwIfAborted();
    context.progress(`${file.name}: whether Debezium carries every column could not be seen: ${describeError(error)}`);
  }
}

const done = { none: 'no changes', create: 'created', update: 'updated' } as const;

function formatResult({ name, action, status, restarted }: ApplyResult): string {
  const { state, tasks } = status;
  const hint = status.health === 'halted' ? ' (as it was; cdc connectors resume starts it)' : '';
  return `${name}: ${restarted ? 'no changes, but it had FAILED: restarted' : done[action]}; ${state}, ${tasks.length} ${tasks.length === 1 ? 'task' : 'tasks'}${hint}`;
}

function warn(context: CliContext, { name, config }: ConnectorFile, unknown: readonly string[]): void {
  if (unknown.length > 0) context.progress(`${name}: the connector does not know, and probably ignores: ${unknown.join(', ')}`);
  if ((config['notification.enabled.channels'] ?? '').includes('sink')) {
    context.progress(
      `${name}: notification channel sink stores an empty position before the first snapshot is read: when that snapshot fails, ` +
        'a restart skips it without a word (seen with Debezium 3.6.1)',
    );
  }
  const secrets = literalSecrets(config);
  if (secrets.length > 0) {
    context.progress(
      `${name}: ${secrets.join(', ')} in plain text: anyone who reaches Connect can read it; use a reference such as \${env:NAME}`,
    );
  }
}

export async function render(
  context: CliContext,
  names: readonly string[],
  { strimzi, namespace }: { readonly strimzi: string; readonly namespace?: string },
): Promise<void> {
  const files = await filesOf(context, names);
  for (const file of files) warn(context, file, []);
  context.print(renderStrimzi(files, { cluster: strimzi, namespace }).trimEnd());
}
