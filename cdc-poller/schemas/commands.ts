import { openRegistry } from '#change-events/index.ts';
import { CdcError, type CliContext, type PollerConfig } from '#pipeline/index.ts';
import { Command, Option } from 'commander';
import { checkSchemas, type SubjectVerdict, type Unfit } from './check.ts';

type Flags = { readonly json?: boolean; readonly format?: PollerConfig['format'] };

/** `cdc schemas check` */
export function schemaCheckCommand(context: CliContext): Command {
  return new Command('check')
    .description(
      'compare what the poller would register with the registry; registers nothing; exit code 2 if a schema is incompatible, 1 if a table is unfit',
    )
    .addOption(new Option('--format <format>', 'as if poller.format were this').choices(['avro', 'json-schema']))
    .option('--json', 'as JSON')
    .action(async ({ json = false, format }: Flags) => {
      const config = await context.config();
      if (config.poller === undefined) throw new CdcError('CONFIG_INVALID', 'pipeline.yaml has no poller section');
      if (config.schemaRegistry === undefined) throw new CdcError('CONFIG_INVALID', 'pipeline.yaml has no schemaRegistry section');
      const poller = { ...config.poller, format: format ?? config.poller.format };
      if (poller.format === 'json')
        throw new CdcError('CONFIG_INVALID', 'poller.format is json, which has no schemas: name one by --format');
      const found = await checkSchemas(config, poller, openRegistry(config.schemaRegistry), context.signal);
      context.print(
        json ? JSON.stringify(found, null, 2) : [...found.verdicts.map(describe), ...found.unfit.map(describeUnfit)].join('\n'),
      );
      if (found.verdicts.some(({ verdict }) => verdict === 'incompatible')) context.setExitCode(2);
      else if (found.unfit.length > 0) context.setExitCode(1);
    });
}

function describe({ subject, verdict, version, differences, reasons }: SubjectVerdict): string {
  const head = {
    new: `${subject}: new`,
    same: `${subject}: same as version ${version}`,
    compatible: `${subject}: compatible with version ${version}`,
    incompatible: `${subject}: INCOMPATIBLE with version ${version}`,
  }[verdict];
  return [head, ...differences, ...reasons.map((reason) => `the registry says: ${reason}`)].join('\n    ');
}

function describeUnfit({ table, problem }: Unfit): string {
  return `${table}: UNFIT\n    ${problem}`;
}
