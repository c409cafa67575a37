import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { formatTableId, parseTableId } from '#change-events/index.ts';
import { readConnectorFile } from '#connectors/index.ts';
import type { CliContext } from '#pipeline/index.ts';
import { makeTypes, type TypesRequest } from './generate.ts';
import { staleness, writeTypes } from './stale.ts';
import type { Strategy } from './table-types.ts';

type TypesFlags = {
  readonly from: TypesRequest['from'];
  readonly strategy?: Strategy;
  readonly out?: string;
  readonly check: boolean;
};

/** `cdc types` */
export function typesCommand(context: CliContext): Command {
  const command = new Command('types');
  return command
    .description(
      'make TypeScript types of captured tables: rows, keys, changes, events; exit code 1 if a table has none, 2 if --check finds a stale file',
    )
    .argument('[table...]', 'schema.table; default: all that are captured', tableArgument)
    .addOption(new Option('--from <source>', 'what the types are made from').choices(['catalogue', 'registry']).default('catalogue'))
    .addOption(
      new Option('--strategy <strategy>', 'whose events; needed only where tables are captured both ways').choices(['query', 'log']),
    )
    .option('--out <file>', 'write them to this file')
    .option('--check', 'write nothing: print how the file of --out differs from what it should be', false)
    .action(async (tables: readonly string[], { from, strategy, out, check }: TypesFlags) => {
      if (check && out === undefined) command.error("error: option '--check' needs '--out <file>', the file to look at");
      const config = await context.config();
      const files = strategy === 'query' ? [] : (config.connect?.connectors ?? []);
      const connectors = await Promise.all(files.map((file) => readConnectorFile(resolve(context.configFolder(), file))));
      const made = await makeTypes({ config, connectors, tables, from, strategy, signal: context.signal });
      for (const { source, why } of made.unfit) context.progress(`no types of ${formatTableId(source)}: ${why}`);
      for (const note of made.notes) context.progress(note);
      if (made.unfit.some(({ named }) => named)) context.setExitCode(1);
      if (out === undefined) {
        context.print(made.text.trimEnd());
        return;
      }
      const count = made.tables.length === 1 ? '1 table' : `${made.tables.length} tables`;
      if (!check) {
        await writeTypes(resolve(out), made.text);
        context.print(`${out}: types of ${count}`);
        return;
      }
      const stale = await staleness(resolve(out), made.text);
      if (stale === null) context.print(`${out}: up to date, types of ${count}`);
      else {
        context.print(`${stale}\n${out} is stale: make it again with the same command without --check`);
        context.setExitCode(2);
      }
    });
}

/** @throws InvalidArgumentError, which commander reports with the argument's name */
function tableArgument(text: string, before: readonly string[] | undefined): readonly string[] {
  try {
    return [...(before ?? []), formatTableId(parseTableId(text))];
  } catch {
    throw new InvalidArgumentError('Expected schema.table.');
  }
}
