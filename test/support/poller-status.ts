import { pollerCommand } from '#cdc-poller/commands.ts';
import { silentLogger, type CliContext, type PipelineConfig } from '#pipeline/index.ts';

/** Runs `cdc poller status …` and gives what it printed and its exit code. */
export async function pollerStatus(
  config: PipelineConfig,
  ...args: readonly string[]
): Promise<{ readonly text: string; readonly exitCode: number }> {
  const printed: string[] = [];
  let exitCode = 0;
  const context: CliContext = {
    config: async () => config,
    configFolder: () => '.',
    print: (text) => printed.push(text),
    progress: () => undefined,
    setExitCode: (code) => {
      exitCode = code;
    },
    logger: silentLogger,
    signal: new AbortController().signal,
    stackFolder: () => '.',
  };
  await pollerCommand(context).parseAsync(['status', ...args], { from: 'user' });
  return { text: printed.join('\n'), exitCode };
}
