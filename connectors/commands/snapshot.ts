import { formatTableId } from '#change-events/index.ts';
import { connectKafka } from '#kafka/index.ts';
import { canonicalTableName, CdcError, type CliContext } from '#pipeline/index.ts';
import { abortSnapshot, snapshotTables, type SnapshotTarget } from '../snapshot/incremental.ts';
import { capturedTables } from '../postgres/table-list.ts';
import { clientOf, filesOf, replicatorOf, runningConfig, toJson, type JsonOption } from './connect-context.ts';
import { summaryOf } from './named.ts';

export type SnapshotOptions = JsonOption & {
  readonly connector?: string;
  readonly where?: string;
  readonly abort?: boolean;
  /** commander's form of --no-wait. */
  readonly wait: boolean;
  readonly timeout: string;
};

/** Reads captured tables again beside the running stream, or ends that. */
export async function snapshot(context: CliContext, named: readonly string[], options: SnapshotOptions): Promise<void> {
  const tables = named.map(canonicalTableName);
  const silenceMs = options.wait ? Number(options.timeout) * 1000 : 0;
  if (options.wait && !(silenceMs > 0))
    throw new CdcError('CONFIG_INVALID', `--timeout ${options.timeout}: expected a number of seconds`, {
      remedy: 'For example: --timeout 120',
    });
  if (tables.length === 0 && options.abort !== true)
    throw new CdcError('SNAPSHOT_FAILED', 'no table is named', { remedy: 'Name tables as schema.table.' });
  const target = await targetOf(context, options.connector, tables);
  if (options.abort === true) {
    await abortSnapshot(target, tables);
    context.print(
      `${target.name}: asked to end ${tables.length === 0 ? 'its incremental snapshot' : `the snapshot of ${tables.join(', ')}`}`,
    );
    return;
  }
  const { signal, progress } = context;
  const result = await snapshotTables(target, { tables, where: options.where }, { silenceMs, signal, progress });
  if (options.json === true) context.print(toJson({ connector: target.name, tables, ...result }));
  else if (result.outcome === 'asked') context.print(`${target.name}: snapshot asked for (signal ${result.id})`);
  else context.print(`${target.name}: ${tables.join(', ')} read again`);
}

/** The connector that captures the tables, running, and not one that would never hear the signal. */
async function targetOf(context: CliContext, name: string | undefined, tables: readonly string[]): Promise<SnapshotTarget> {
  const client = await clientOf(context);
  const files = await filesOf(context, name === undefined ? [] : [name]);
  const captured = files.map((file) => ({ file, tables: new Set(capturedTables(file.name, file.config).map(formatTableId)) }));
  const capturing = captured.filter((each) => tables.every((table) => each.tables.has(table))).map((each) => each.file);
  const [file, second] = capturing;
  if (file === undefined) {
    const known = [...new Set(captured.flatMap((each) => [...each.tables]))].join(', ');
    throw new CdcError('SNAPSHOT_FAILED', `no connector captures ${tables.join(', ')} (table.include.list has ${known})`, {
      remedy: 'Name captured tables as schema.table; a new table is added to table.include.list and applied first.',
    });
  }
  if (second !== undefined) {
    throw new CdcError('SNAPSHOT_FAILED', `several connectors capture that: ${capturing.map((one) => one.name).join(', ')}`, {
      remedy: 'Name one with --connector.',
    });
  }
  const config = await runningConfig(client, file.name, context.signal);
  const { health } = await summaryOf(client, file.name, context.signal);
  if (health !== 'running') {
    throw new CdcError('SNAPSHOT_FAILED', `connector ${file.name} is not running (${health}), so it hears no signal`, {
      remedy: 'See cdc connectors status; start it first.',
    });
  }
  const { kafka } = await context.config();
  return { name: file.name, config, client, kafka: connectKafka(kafka, context.logger), source: await replicatorOf(context) };
}
