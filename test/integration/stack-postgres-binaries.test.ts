import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, cp, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { installedBinaries, runnableBinaries } from '#stack/servers/postgres-binaries.ts';
import { postgresUser } from '#stack/processes/unprivileged-user.ts';

const run = promisify(execFile);
const asRoot = process.getuid?.() === 0;

test(
  'as root, with node_modules where Postgres’ user may not go, one copy is made that it can run',
  { skip: !asRoot && 'not root' },
  async () => {
    const user = await postgresUser();
    assert.ok(user);
    const closed = await mkdtemp(join(tmpdir(), 'cdc-closed-'));
    const open = await mkdtemp(join(tmpdir(), 'cdc-open-'));
    await chmod(open, 0o755);
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = open;
    try {
      const installed = await installedBinaries();
      const packageFolder = dirname(dirname(dirname(installed.postgres)));
      await cp(packageFolder, join(closed, 'package'), { recursive: true, verbatimSymlinks: true });
      const bin = join(closed, 'package', 'native', 'bin');
      const there = { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') };
      await assert.rejects(run(there.initdb, ['--version'], { ...user, cwd: '/' }), { code: 'EACCES' });

      // Both servers ask at once.
      const [binaries, again] = await Promise.all([runnableBinaries(there, user), runnableBinaries(there, user)]);
      assert.deepEqual(binaries, again);
      assert.equal((await readdir(open)).length, 1);
      assert.match((await run(binaries.postgres, ['--version'], { ...user, cwd: '/' })).stdout, /PostgreSQL/);

      // In a folder that anybody may write to, what others could have changed is not run.
      const copy = dirname(dirname(binaries.postgres));
      assert.equal((await stat(copy)).mode & 0o022, 0);
      await chmod(copy, 0o777);
      await assert.rejects(runnableBinaries(there, user), { code: 'POSTGRES_UNSUITABLE', message: /others may change it/ });
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
      await Promise.all([closed, open].map((folder) => rm(folder, { recursive: true, force: true })));
    }
  },
);
