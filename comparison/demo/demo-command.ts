import { resolve } from 'node:path';
import { Command } from 'commander';
import { positiveNumber, wholeNumber, type CliContext } from '#pipeline/index.ts';
import { resetStack } from '#stack/index.ts';
import { demoConfigFile, runDemo, type DemoSeen } from './demo.ts';
import { renderCommand } from './demo-services.ts';
import { reportFile, writeReport } from '../report/file.ts';
import { reportJson } from '../report/report.ts';
import { renderTerminal } from '../report/terminal.ts';

type DemoFlags = {
  readonly seconds: number;
  readonly rate: number;
  readonly seed: number;
  readonly keep: boolean;
  readonly json: boolean;
  readonly report?: string;
};

/** `cdc demo`: everything on a stack of its own, ending in the comparison; nothing is left running unless asked for. */
export function demoCommand(context: CliContext): Command {
  return new Command('demo')
    .description('run the whole pipeline on servers of its own and compare the strategies')
    .option('--seconds <n>', 'how long the workload writes', positiveNumber, 20)
    .option('--rate <n>', 'operations per second', positiveNumber, 100)
    .option('--seed <n>', 'the same seed gives the same workload', wholeNumber(0), 1)
    .option('--keep', 'leave everything running and print the addresses', false)
    .option('--json', 'print the comparison as JSON', false)
    .option('--report <file>', 'also write a report: .html, .md or .json', reportFile)
    .action((flags: DemoFlags) => demo(context, flags));
}

async function demo(context: CliContext, { keep, json, report: file, ...flags }: DemoFlags): Promise<void> {
  const folder = resolve(`.cdc/demo-${process.pid}`);
  const began = performance.now();
  const progress = (text: string): void => context.progress(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
  let left: DemoSeen | null = null;
  try {
    const seen = await runDemo({ ...flags, folder, progress, signal: context.signal });
    const { report, command } = seen;
    context.print(json ? reportJson(report) : `${renderTerminal(report)}\n\n${renderCommand(command)}\n`);
    if (file !== undefined) await writeReport(file, report);
    if (keep) left = seen;
  } finally {
    if (left !== null) {
      const people = left.people.map(({ name, password }) => `${name} with ${password}`).join(', ');
      context.progress(`The page of the gateway: ${left.command.url}. Log in as ${people}.`);
      context.progress(
        `Everything is left running. Look: npm run cdc -- --stack ${folder} stack status; its configuration is ${demoConfigFile(folder)}. End: npm run cdc -- --stack ${folder} stack reset`,
      );
    } else {
      progress('stopping what was started');
      await resetStack(folder, { progress });
      progress('done');
    }
  }
}
