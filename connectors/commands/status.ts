import { CdcError, describeError, type CliContext } from '#pipeline/index.ts';
import type { BinlogLag } from '../mariadb/lag.ts';
import type { Source } from '../mariadb/mariadb-source.ts';
import { formatLag, readLag, type Lag } from '../state/lag.ts';
import type { ConnectClient } from '../rest/client.ts';
import { formatStatus, type StatusSummary } from '../state/status.ts';
import { clientOf, filesOf, replicatorIfConfigured, toJson, type JsonOption } from './connect-context.ts';
import { summaryOf } from './named.ts';

const badNews = 1;

type ConnectorReport = StatusSummary & {
  /** Null: not a connector with a slot or a binlog, or not looked at. */
  readonly lag: Lag | BinlogLag | null;
  /** Why the source could not be looked at. */
  readonly sourceUnknown?: string;
};

/**
 * Without names: the connectors of pipeline.yaml. Bad news (exit code 1): one that does not run, one that lost changes, or a source that
 * could not be asked.
 */
export async function showStatus(context: CliContext, names: readonly string[], { json = false }: JsonOption): Promise<void> {
  const client = await clientOf(context);
  const wanted = names.length > 0 ? names : (await filesOf(context)).map(({ name }) => name);
  const replicator = await replicatorIfConfigured(context);
  if (replicator === undefined) context.progress('the source is not checked: legacyDb.roles.replicator is not configured');
  const reports = await Promise.all(wanted.map((name) => report(client, replicator, name, context.signal)));
  context.print(json ? toJson(reports) : reports.map(format).join('\n'));
  if (reports.some(isBad)) context.setExitCode(badNews);
}

function isBad({ health, lag, sourceUnknown }: ConnectorReport): boolean {
  if (health !== 'running' || sourceUnknown !== undefined) return true;
  if (lag === null) return false;
  return lag.loss.kind === 'lost' || lag.loss.kind === 'unknown' || lag.unpublished.length > 0;
}

async function report(client: ConnectClient, replicator: Source | undefined, name: string, signal: AbortSignal): Promise<ConnectorReport> {
  const summary = await summaryOf(client, name, signal);
  const config = await client.config(name, signal);
  if (replicator === undefined || config === null) return { ...summary, lag: null };
  try {
    return { ...summary, lag: await readLag(client, replicator, name, config, signal) };
  } catch (error) {
    if (!(error instanceof CdcError) || !error.code.startsWith('LEGACY_')) throw error;
    return { ...summary, lag: null, sourceUnknown: describeError(error) };
  }
}

function format({ lag, sourceUnknown, ...summary }: ConnectorReport): string {
  const lines = [formatStatus(summary)];
  if (lag !== null) lines.push(formatLag(lag));
  if (sourceUnknown !== undefined) lines.push(`  source: unknown; ${sourceUnknown}`);
  return lines.join('\n');
}
