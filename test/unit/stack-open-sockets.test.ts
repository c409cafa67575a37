import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const support = join(import.meta.dirname, '..', 'support', 'open-sockets.ts');

test('a test file whose connection stays open fails, and says who opened it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-unit-'));
  const server = createServer().listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const run = async (afterwards: string): Promise<{ readonly code: number | null; readonly errors: string }> => {
      const file = join(folder, 'leaks.test.ts');
      await writeFile(
        file,
        `import { once } from 'node:events';
         import { connect } from 'node:net';
         import { after, test } from 'node:test';
         import { watchOpenSockets } from ${JSON.stringify(support)};
         watchOpenSockets(1000);
         const sockets = [];
         async function leakingClient() {
           sockets.push(connect(${port}, '127.0.0.1'));
           await once(sockets[0], 'connect');
         }
         test('passes', leakingClient);
         ${afterwards}`,
      );
      const env = { ...process.env };
      delete env['NODE_TEST_CONTEXT'];
      return new Promise((resolve) => {
        const child = execFile(process.execPath, [file], { env }, (_error, _out, errors) => resolve({ code: child.exitCode, errors }));
      });
    };
    const leaking = await run('');
    assert.equal(leaking.code, 1);
    assert.match(leaking.errors, new RegExp(`127\\.0\\.0\\.1:${port} is open 1000 ms after the tests, opened`));
    assert.match(leaking.errors, /at .*leakingClient .*leaks\.test\.ts/);
    assert.deepEqual(await run('after(() => sockets[0].destroy());'), { code: 0, errors: '' });
  } finally {
    server.close();
    await rm(folder, { recursive: true });
  }
});
