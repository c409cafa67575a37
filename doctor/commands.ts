import { Command, Option } from 'commander';
import { CdcError, type CliContext } from '#pipeline/index.ts';
import { examine } from './examine.ts';
import type { Strategy } from './finding.ts';
import { renderReport } from './render.ts';
import { exitCodeOf } from './report.ts';
import { doctorRequest } from './request.ts';

const both: readonly Strategy[] = ['query', 'log'];
const strategies = new Map<string, readonly Strategy[]>([
  ['query', ['query']],
  ['log', ['log']],
  ['both', both],
]);

type DoctorOptions = { readonly strategy?: string; readonly json?: boolean; readonly longTransaction: string };

/** `cdc doctor`: what will go wrong with capture, before anything is created. */
export function doctorCommand(context: CliContext): Command {
  return new Command('doctor')
    .description('check the legacy database and Connect, read-only, and list each problem with the SQL to fix it')
    .addOption(
      new Option('--strategy <strategy>', 'what to check (default: what pipeline.yaml configures)').choices([...strategies.keys()]),
    )
    .option('--long-transaction <seconds>', 'report transactions that have been open for this long', '30')
    .option('--json', 'print JSON for scripts')
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing worse than info; 1 errors; 2 no errors, but warnings or unknowns. All findings: docs/reference/findings.md.',
    )
    .action((options: DoctorOptions) => run(context, options));
}

async function run(context: CliContext, { strategy, json = false, longTransaction }: DoctorOptions): Promise<void> {
  const oldSeconds = Number(longTransaction);
  if (!(oldSeconds >= 0)) {
    throw new CdcError('CONFIG_INVALID', `--long-transaction ${longTransaction}: expected a number of seconds`, {
      remedy: 'For example: --long-transaction 60',
    });
  }
  const wanted = strategy === undefined ? undefined : strategies.get(strategy);
  const request = await doctorRequest(await context.config(), context.configFolder(), wanted);
  const report = await examine(request, { signal: context.signal, oldSeconds });
  context.print(json ? JSON.stringify(report, null, 2) : renderReport(report));
  context.setExitCode(exitCodeOf(report));
}
