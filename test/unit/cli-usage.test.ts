import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { nodeFlags } from '#pipeline/index.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';

function cdc(...words: readonly string[]): { readonly code: number | null; readonly said: string } {
  const { status, stderr } = spawnSync(process.execPath, [...nodeFlags, join(repositoryRoot, 'cli.ts'), ...words], { encoding: 'utf8' });
  return { code: status, said: stderr };
}

test('what is no command, or lacks something, ends with 64 at any depth, and says which help has more; 1 would be bad news', () => {
  for (const [words, pattern] of [
    [['connectors', 'applyy'], /unknown command 'applyy'\n\(Did you mean apply\?\)\n\(cdc connectors --help lists commands and options\)/],
    [['connectors', 'offsets', 'set', 'orders'], /missing required argument 'file'\n\(cdc connectors offsets set --help lists/],
    [['doctor', '--strategy', 'x'], /argument 'x' is invalid.*\n\(cdc doctor --help lists/],
  ] as const) {
    const { code, said } = cdc(...words);
    assert.equal(code, 64, words.join(' '));
    assert.match(said, pattern);
  }
  assert.equal(cdc('connectors', 'apply', '--help').code, 0);
});
