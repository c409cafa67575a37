import type { Command } from 'commander';
import { connectorsCommand } from '#connectors/index.ts';
import { describeError, formatPath, maskUrls, pipelineSchema, silentLogger, visible, type CliContext } from '#pipeline/index.ts';
import { capturedUnder } from '#project/index.ts';
import { readModelCommand } from '#read-model/commands.ts';

export type Terminal = {
  readonly run: (...words: string[]) => Promise<Outcome>;
  /** The same for a command that runs until a signal stops it. */
  readonly start: (...words: string[]) => RunningCommand;
};
export type Outcome = { readonly printed: string; readonly progress: string; readonly exitCode: number };
export type RunningCommand = AsyncDisposable & { readonly printed: readonly string[]; readonly progress: readonly string[] };

/** `cdc connectors …`, see {@link terminal}. */
export function connectorsTerminal(pipeline: unknown, folder: string): Terminal {
  return terminal(connectorsCommand, pipeline, folder);
}

/** What `cdc read-model …` prints. */
export async function cdcReadModel(pipeline: unknown, ...words: readonly string[]): Promise<string> {
  return (await terminal(readModelOf, pipeline).run(...words)).printed;
}

/** As cli/commands.ts has it. */
export function readModelOf(context: CliContext): Command {
  return readModelCommand(context, async (topicPrefix) => capturedUnder(await context.config(), context.configFolder(), topicPrefix));
}

/** A command of cdc's in this process, with `pipeline` as pipeline.yaml in `folder`. */
export function terminal(create: (context: CliContext) => Command, pipeline: unknown, folder = '.'): Terminal {
  const begin = (words: readonly string[], signal: AbortSignal): { lines: string[]; progress: string[]; done: Promise<number> } => {
    const lines: string[] = [];
    const progress: string[] = [];
    let exitCode = 0;
    const context: CliContext = {
      config: async () => pipelineSchema.parse(pipeline),
      configFolder: () => folder,
      environment: async () => process.env,
      locate: async () => formatPath,
      print: (text) => lines.push(shown(text)),
      progress: (text) => progress.push(shown(text)),
      setExitCode: (code) => {
        exitCode = code;
      },
      logger: silentLogger,
      signal,
      followFiles: async () => ({ [Symbol.dispose]() {} }),
      stackFolder: () => folder,
    };
    const command = create(context);
    for (const each of allOf(command)) each.exitOverride().configureOutput({ writeErr: () => undefined });
    const done = command.parseAsync(words, { from: 'user' }).then(() => exitCode);
    return { lines, progress, done };
  };
  return {
    run: async (...words) => {
      const { lines, progress, done } = begin(words, new AbortController().signal);
      const exitCode = await done;
      return { printed: lines.join('\n'), progress: progress.join('\n'), exitCode };
    },
    start: (...words) => {
      const abort = new AbortController();
      const { lines, progress, done } = begin(words, abort.signal);
      done.catch((error: unknown) => progress.push(`ended: ${describeError(error)}`));
      return {
        printed: lines,
        progress,
        [Symbol.asyncDispose]: async () => {
          abort.abort();
          await done;
        },
      };
    },
  };
}

/** As cli/program.ts does. */
function shown(text: string): string {
  return visible(maskUrls(text));
}

function allOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allOf)];
}
