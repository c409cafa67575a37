import assert from 'node:assert/strict';
import { test } from 'node:test';
import { folderCommands } from '../../cli/commands.ts';
import { describingContext } from '../../cli/command-reference.ts';
import { commandAskedFor, overview } from '../../cli/overview.ts';

test('cdc --help lists each command with the words and the description that the command has itself', async () => {
  const commands = await Promise.all(Object.values(folderCommands).map((create) => create(describingContext)));
  const itself = commands.map((command) => {
    const help = command.createHelp();
    return `${help.subcommandTerm(command)}: ${help.subcommandDescription(command)}`;
  });
  const listed = overview.map(({ name, words, about }) => `${name}${words === undefined ? '' : ` ${words}`}: ${about}`);
  assert.deepEqual(listed, [...itself, 'config: the configuration']);
});

test('the command is found behind global options and behind help; what names none loads none', () => {
  for (const [words, name] of [
    [['poller', 'start'], 'poller'],
    [['-c', 'demo', '--stack=x', 'read-model', 'plan'], 'read-model'],
    [['help', 'verify'], 'verify'],
    [['--config', 'poller'], null],
    [['--help'], null],
    [['pollr'], null],
    [['constructor'], null],
    [[], null],
  ] as const) {
    assert.equal(commandAskedFor(words), name, words.join(' '));
  }
});
