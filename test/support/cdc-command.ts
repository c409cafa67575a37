import { Command } from 'commander';
import { describeError, type PipelineConfig } from '#pipeline/index.ts';
import { describingContext } from '../../cli/command-reference.ts';
import { folderCommands } from '../../cli/commands.ts';

/** What is wrong with the words after `cdc`, as commander says it; null when they are one of its commands. Runs nothing. */
export async function problemOfCommand(words: readonly string[], config: PipelineConfig): Promise<string | null> {
  const [name = '', ...rest] = words;
  const load = folderCommands[name];
  if (load === undefined) return `cdc has no command ${name}`;
  const withoutAction = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: () => undefined });
    if (command.commands.length === 0) command.action(() => undefined);
    for (const child of command.commands) withoutAction(child);
  };
  const program = new Command('cdc').addCommand(await load({ ...describingContext, config: () => Promise.resolve(config) }));
  withoutAction(program);
  try {
    await program.parseAsync([name, ...rest], { from: 'user' });
    return null;
  } catch (error) {
    return describeError(error);
  }
}
