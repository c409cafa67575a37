import { Command } from 'commander';
import { runWorkload } from '#legacy-db/index.ts';
import { CdcError, positiveNumber, postgresClientConfig, wholeNumber, type CliContext } from '#pipeline/index.ts';
import { comparisonFromConfig } from './from-config.ts';
import { reportFile, writeReport } from './report/file.ts';
import { reportJson, type ComparisonReport } from './report/report.ts';
import { renderTerminal } from './report/terminal.ts';
import { runComparison } from './run.ts';

type CompareFlags = {
  readonly seconds: number;
  readonly rate: number;
  readonly seed: number;
  readonly writers: number;
  readonly timeout: number;
  readonly latencyLimit: number;
  readonly json: boolean;
  readonly report?: string;
};

/** `cdc compare`: runs the workload on the configured servers and measures what each strategy made of it. */
export function compareCommand(context: CliContext): Command {
  return new Command('compare')
    .description('run a workload and measure each strategy against the ledger; pollers, connector and read models must run')
    .option('--seconds <n>', 'how long the workload runs', positiveNumber, 20)
    .option('--rate <n>', 'operations per second of the workload', positiveNumber, 50)
    .option('--seed <n>', 'the same seed gives the same plan', wholeNumber(0), 1)
    .option('--writers <n>', 'connections of the workload', wholeNumber(1, 200), 8)
    .option('--timeout <seconds>', 'longest wait for a strategy that makes no progress', positiveNumber, 60)
    .option('--latency-limit <ms>', 'what counts as low latency: 95% reach the read model within this time', positiveNumber, 1000)
    .option('--json', 'print the report as JSON', false)
    .option('--report <file>', 'also write a report: .html, .md or .json', reportFile)
    .action(async (flags: CompareFlags) => {
      const report = await compare(context, flags);
      if (flags.report !== undefined) {
        await writeReport(flags.report, report);
        context.progress(`The report is in ${flags.report}`);
      }
      context.print(flags.json ? reportJson(report) : renderTerminal(report));
    });
}

async function compare(context: CliContext, flags: CompareFlags): Promise<ComparisonReport> {
  const config = await context.config();
  const { application } = config.legacyDb.roles;
  if (application === undefined)
    throw new CdcError(
      'LEGACY_ROLE_NOT_CONFIGURED',
      'the workload writes as legacyDb.roles.application, which pipeline.yaml does not name',
    );
  const { signal, progress } = context;
  const input = {
    ...comparisonFromConfig(config, context.logger),
    catchUpTimeoutMs: flags.timeout * 1000,
    latencyLimitMs: flags.latencyLimit,
    signal,
    progress,
  };
  return runComparison(input, async () => {
    const statistics = await runWorkload({
      application: postgresClientConfig(config.legacyDb, application, 'legacy-app'),
      seconds: flags.seconds,
      rate: flags.rate,
      seed: flags.seed,
      writers: flags.writers,
      signal,
      onProgress: ({ elapsedMs, operations, committed }) =>
        progress(`workload, ${(elapsedMs / 1000).toFixed(0)} s: ${operations} operations, ${committed} transactions committed`),
    });
    // An aborted workload returns what it did; there is nothing to compare then.
    signal.throwIfAborted();
    return statistics;
  });
}
