import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { nodeFlags } from '#pipeline/index.ts';

const root = join(import.meta.dirname, '../..');
const line = nodeFlags.join(' ');

for (const [file, expected] of [
  ['cli.ts', `#!/usr/bin/env -S node ${line}\n`],
  ['package.json', `"cdc": "node ${line} cli.ts"`],
  ['package.json', `"demo": "node ${line} cli.ts demo"`],
  ['containers/app/setup', `node ${line} /app/cli.ts`],
  ['containers/app/Dockerfile', `ENTRYPOINT ${JSON.stringify(['node', ...nodeFlags, '/app/cli.ts']).replaceAll(',', ', ')}`],
] as const) {
  test(`${file} starts cdc with the flags that the project starts it with: ${expected.trim()}`, async () => {
    assert.ok((await readFile(join(root, file), 'utf8')).includes(expected));
  });
}
