import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { markdownTable, silentLogger, wrapped, type CliContext } from '#pipeline/index.ts';
import { folderCommands } from './commands.ts';

/** Where the reference of all commands is. */
export const commandReferenceFile = join(import.meta.dirname, '..', 'docs', 'reference', 'commands.md');

const opening = `# Commands

Every command of \`cdc\`, with its options. From a clone: \`npm run cdc -- <command>\`. All commands take
\`--config FILE\` (default \`pipeline.yaml\`) and \`--stack FOLDER\` (default \`.cdc/default\`), and \`--help\`.

Exit codes: 0 done; 1 bad news (a status that is not well, errors of doctor); 2 a difference (\`connectors plan\`,
\`schemas check\`) or a warning of doctor; 64 to 78 an [error](errors.md); 130 interrupted.
\`cdc config print\` shows pipeline.yaml as it takes effect, with secrets masked.

Generated from the commands by \`npm run docs:commands\`. A test fails when it is out of date.
`;

const unused = (): never => {
  throw new Error('a command that is only described does nothing');
};

/** For commands that are made and described, not run. */
export const describingContext: CliContext = {
  config: unused,
  configFolder: unused,
  environment: unused,
  locate: unused,
  print: unused,
  progress: unused,
  setExitCode: unused,
  logger: silentLogger,
  signal: new AbortController().signal,
  followFiles: unused,
  stackFolder: unused,
};

/** docs/reference/commands.md: every command with its options, in the order of the help. */
export async function commandReference(): Promise<string> {
  const sections: string[] = [];
  for (const create of Object.values(folderCommands)) {
    const command = await create(describingContext);
    const head = `\n## ${command.name()}\n\n${wrapped(sentence(command.description()))}\n`;
    sections.push(head, ...leavesOf(command, 'cdc'));
  }
  return opening + sections.join('');
}

function leavesOf(command: Command, path: string): readonly string[] {
  const here = `${path} ${command.name()}`;
  if (command.commands.length > 0) return command.commands.flatMap((child) => leavesOf(child, here));
  const words = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? ` <${name}>` : ` [${name}]`;
  });
  const isTop = path === 'cdc';
  const about = isTop ? '' : `\n${wrapped(sentence(command.description()))}\n`;
  const rows = command.options.map(({ flags, description, argChoices, defaultValue }) => [
    `\`${flags}\``,
    `${description}${argChoices === undefined ? '' : ` (${argChoices.join(', ')})`}`.replaceAll('<', '&lt;'),
    defaultOf(defaultValue),
  ]);
  const options = rows.length === 0 ? '' : `\n${markdownTable(['option', 'what it does', 'default'], rows)}`;
  return [`\n### \`${here}${words.join('')}\`\n${about}${options}`];
}

/** A flag's default, and an empty list, say nothing. */
function defaultOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? `\`${value}\`` : '';
}

/** A description of the help begins small and ends without a full stop. */
function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

if (import.meta.main) writeFileSync(commandReferenceFile, await commandReference());
