import { connectKafka } from '#kafka/index.ts';
import { CdcError, type CliContext, type PipelineConfig, type PollerConfig } from '#pipeline/index.ts';
import Table from 'cli-table3';
import { Command } from 'commander';
import { runPoller } from './poller.ts';
import { readStatus, resetPositions } from './positions-view.ts';

/** `cdc poller start|status|reset` */
export function pollerCommand(context: CliContext): Command {
  const command = new Command('poller').description('the query-based strategy: publish what a query can see');
  command
    .command('start')
    .description('poll the configured tables until stopped')
    .option('--once', 'publish what is there, then end')
    .action(async ({ once = false }: { readonly once?: boolean }) => {
      await runPoller({ config: await context.config(), logger: context.logger, signal: context.signal, once });
    });
  command
    .command('status')
    .description('show where the poller stands in each table')
    .option('--json', 'as JSON')
    .action(async ({ json = false }: { readonly json?: boolean }) => {
      const config = await context.config();
      const rows = await readStatus(config.kafka, pollerOf(config), context.signal);
      if (json) {
        context.print(JSON.stringify(rows, null, 2));
        return;
      }
      const table = new Table({ head: ['table', 'phase', 'horizon', 'polled at', 'floor'], style: { head: [] } });
      for (const row of rows) {
        const phase = row.repairPending ? `${row.phase}, repair pending` : row.phase;
        table.push([row.table, phase, row.horizon ?? '-', row.polledAt ?? '-', row.floor ?? '-']);
      }
      context.print(table.toString());
    });
  command
    .command('reset')
    .description('forget positions: the next start loads the tables again; ends a poller that still runs')
    .option('--table <schema.table...>', 'only these tables')
    .action(async ({ table }: { readonly table?: readonly string[] }) => {
      const config = await context.config();
      const poller = pollerOf(config);
      const known = poller.tables.map((entry) => entry.table);
      const unknown = table?.find((name) => !known.includes(name));
      if (unknown !== undefined) throw new CdcError('TABLE_UNKNOWN', `table ${unknown} is not among poller.tables`);
      const reset = await resetPositions(connectKafka(config.kafka, context.logger), poller.name, table ?? known);
      context.print(reset.length === 0 ? 'no table had a position' : `reset ${reset.join(', ')}`);
    });
  return command;
}

function pollerOf(config: PipelineConfig): PollerConfig {
  if (config.poller === undefined) throw new CdcError('CONFIG_INVALID', 'pipeline.yaml has no poller section');
  return config.poller;
}
