import { connectKafka } from '#kafka/index.ts';
import {
  canonicalTableName,
  matchesTable,
  CdcError,
  sweepPollerConfig,
  type CliContext,
  type PipelineConfig,
  type PollerConfig,
} from '#pipeline/index.ts';
import { Command } from 'commander';
import { fetchFigures, httpUrlOf } from './metrics/live-figures.ts';
import { runPoller } from './poller.ts';
import { readStatus, resetPositions } from './positions-view.ts';
import { statusTable, type StatusRow } from './status-table.ts';

export { schemaCheckCommand } from './schemas/commands.ts';

type StatusFlags = { readonly json?: boolean; readonly sweep?: boolean; readonly url?: readonly string[] };

/** `cdc poller start|status|reset` */
export function pollerCommand(context: CliContext): Command {
  const command = new Command('poller').description('query-based capture: poll tables and publish what a query can see');
  const configOf = async (sweep: boolean): Promise<PipelineConfig> => {
    const config = await context.config();
    return sweep ? sweepPollerConfig(config) : config;
  };
  const contender = ['--sweep', 'the poller of comparison.sweep: the same tables, with the key sweep'] as const;
  command
    .command('start')
    .description('poll the configured tables until stopped')
    .option('--once', 'publish what is there now, then end')
    .option(...contender)
    .action(async ({ once = false, sweep = false }: { readonly once?: boolean; readonly sweep?: boolean }) => {
      using open = new DisposableStack();
      if (!once) open.use(await context.followFiles());
      await runPoller({ config: await configOf(sweep), logger: context.logger, signal: context.signal, once });
    });
  command
    .command('status')
    .description('show the position in each table; exit code 1 if a table is stuck')
    .option('--json', 'print JSON')
    .option('--url <url...>', 'running processes to ask for live figures; default: the address in poller.http')
    .option(...contender)
    .action(async ({ json = false, sweep = false, url }: StatusFlags) => {
      const config = await configOf(sweep);
      const poller = pollerOf(config);
      const rows = await statusRows(config, poller, url, context);
      context.print(json ? JSON.stringify(rows, null, 2) : statusTable(rows));
      if (rows.some(({ live }) => live?.stuck === true)) context.setExitCode(1);
    });
  command
    .command('reset')
    .description('delete positions; the tables are loaded again, by a running poller of the group or at the next start')
    .option('--table <schema.table...>', 'only these tables')
    .option(...contender)
    .action(async ({ table: named, sweep = false }: { readonly table?: readonly string[]; readonly sweep?: boolean }) => {
      const table = named?.map(canonicalTableName);
      const config = await configOf(sweep);
      const poller = pollerOf(config);
      const unknown = table?.find((name) => !poller.tables.some((entry) => entry.table === name || matchesTable(entry, name)));
      if (unknown !== undefined) throw new CdcError('TABLE_UNKNOWN', `table ${unknown} is not among poller.tables and has no position`);
      const known = (await readStatus(config.kafka, poller, context.signal, context.progress)).map((row) => row.table);
      const reset = await resetPositions(connectKafka(config.kafka, context.logger), poller.name, table ?? known);
      context.print(reset.length === 0 ? 'no table had a position' : `reset ${reset.join(', ')}`);
    });
  return command;
}

async function statusRows(
  config: PipelineConfig,
  poller: PollerConfig,
  urls: readonly string[] | undefined,
  { signal, progress }: CliContext,
): Promise<readonly StatusRow[]> {
  const asked = urls ?? [httpUrlOf(poller)].filter((url) => url !== null);
  const [rows, ...processes] = await Promise.all([
    readStatus(config.kafka, poller, signal, progress),
    ...asked.map((url) => fetchFigures(url, poller.name)),
  ]);
  const live = new Map(processes.flatMap((figures) => figures?.tables ?? []).map((figures) => [figures.table, figures]));
  return rows.map((row) => ({ ...row, live: live.get(row.table) ?? null }));
}

function pollerOf(config: PipelineConfig): PollerConfig {
  if (config.poller === undefined) throw new CdcError('CONFIG_INVALID', 'pipeline.yaml has no poller section');
  return config.poller;
}
