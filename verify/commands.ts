import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { formatTableId, parseTableId } from '#change-events/index.ts';
import { readConnectorFile } from '#connectors/index.ts';
import { errorExitCode, positiveNumber, wholeNumber, type CliContext } from '#pipeline/index.ts';
import { renderResults, resultsJson } from './render.ts';
import type { TableResult } from './result.ts';
import { verify } from './verify.ts';

type VerifyFlags = {
  readonly model?: readonly string[];
  readonly json: boolean;
  readonly values: boolean;
  readonly keys: number;
  readonly timeout: number;
  readonly pageRows: number;
  readonly maxRowsPerSecond?: number;
  readonly maxDifferences: number;
};

/** `cdc verify` */
export function verifyCommand(context: CliContext): Command {
  return new Command('verify')
    .description(
      'compare the rows of the source with those of the mirrors, while both change; exit code 0 if they are equal, 1 if they differ, 75 if that is not known',
    )
    .argument('[table...]', 'schema.table; default: all that the models mirror', tableArgument)
    .option('--model <name...>', 'only these models')
    .option('--values', 'print the values that differ, not only their columns', false)
    .option('--keys <n>', 'list this many keys of each kind of difference', wholeNumber(0), 20)
    .option('--timeout <seconds>', 'longest wait for a model to become complete up to one moment', positiveNumber, 120)
    .option('--page-rows <n>', 'most rows that one query reads', wholeNumber(1, 10_000), 2000)
    .option('--max-rows-per-second <n>', 'read no faster than this, on average', positiveNumber)
    .option('--max-differences <n>', 'stop comparing a table when this many rows differ', wholeNumber(1), 10_000)
    .option('--json', 'print JSON', false)
    .action(async (tables: readonly string[], flags: VerifyFlags) => {
      const { logger, signal, progress, print, configFolder } = context;
      const config = await context.config();
      const files = config.connect?.connectors ?? [];
      const results = await verify({
        config,
        connectors: await Promise.all(files.map((file) => readConnectorFile(resolve(configFolder(), file)))),
        tables,
        models: flags.model,
        limits: {
          pageRows: flags.pageRows,
          rowsPerSecond: flags.maxRowsPerSecond,
          listedKeys: flags.keys,
          maxDifferences: flags.maxDifferences,
          timeoutMs: flags.timeout * 1000,
        },
        logger,
        signal,
        progress,
      });
      print(flags.json ? resultsJson(results, flags.values) : renderResults(results, flags.values));
      context.setExitCode(exitCodeOf(results));
    });
}

/** Bad news first: what differs, what could not be compared, what is not known. */
function exitCodeOf(results: readonly TableResult[]): number {
  if (results.some(({ outcome }) => outcome === 'differs')) return 1;
  const failed = results.find(({ problem }) => problem !== null)?.problem;
  if (failed !== undefined && failed !== null) return errorExitCode(failed.code);
  // That nothing at all was compared is no answer.
  const isOpen = results.some(({ outcome }) => outcome === 'inconclusive') || results.every(({ outcome }) => outcome === 'notVerified');
  return isOpen ? errorExitCode('VERIFY_INCONCLUSIVE') : 0;
}

/** @throws InvalidArgumentError, which commander reports with the argument's name */
function tableArgument(text: string, before: readonly string[] | undefined): readonly string[] {
  try {
    return [...(before ?? []), formatTableId(parseTableId(text))];
  } catch {
    throw new InvalidArgumentError('Expected schema.table.');
  }
}
