import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { nextCommands, program } from '#project/init/next-commands.ts';
import type { ProjectPlan } from '#project/init/project-files.ts';
import { shellQuoted } from '#project/init/shell-words.ts';

test('a shell reads each word back as it was', () => {
  const words = fc.sample(
    fc.string({ unit: 'binary', maxLength: 12 }).map((word) => word.replaceAll('\0', '')),
    { numRuns: 500 },
  );
  words.push('', "'", "it's", '$HOME', '`x`', '!!', '\\', '-n', 'a b', '*', '~', '#', '\n', '"');
  const script = `printf '%s\\0' ${words.map(shellQuoted).join(' ')}`;
  const read = execFileSync('bash', ['-c', script], { encoding: 'utf8' });
  assert.deepEqual(
    read.split('\0').slice(0, -1),
    words.map((word) => word.toWellFormed()),
  );
});

const plan: ProjectPlan = {
  name: 'shop',
  legacyDb: { dialect: 'postgres', host: 'db', port: 5432, database: 'shop', roles: { poller: { user: 'x', password: 'y' } } },
  roles: { poller: { user: 'p', password: 'p', exists: false }, replicator: { user: 'r', password: 'r', exists: false } },
  owner: { user: 'owner', password: 'secret' },
  polled: [],
  logged: [],
  sweeps: false,
};
const table = { id: { schema: 's', table: 't' }, polled: null, whyNotPolled: '', missingIndex: null, sweepable: false, whyNotLogged: null };

test('the next commands name the program as the user calls it, the folder, and no strategy that is not captured', () => {
  assert.equal(program({ npm_lifecycle_event: 'cdc' }), 'npm run -s cdc --');
  assert.equal(program({}), 'cdc');
  assert.equal(program({ npm_lifecycle_event: 'npx' }), 'npx cdc');
  const both = nextCommands({ ...plan, polled: [table], logged: [table] }, 'my shop', 'npm run -s cdc --');
  assert.match(both, /^npm run -s cdc -- --config 'my shop\/pipeline\.yaml' connectors apply$/m);
  assert.match(both, /^set -a; \. 'my shop\/\.env'; set \+a$/m);
  const log = nextCommands({ ...plan, logged: [table] }, 'shop', 'cdc');
  assert.match(log, /^\(set -a; \. shop\/\.env\.owner; cdc --config shop\/pipeline\.yaml connectors prepare\)$/m);
  assert.doesNotMatch(log, /poller start/);
  const query = nextCommands({ ...plan, polled: [table] }, '.', 'cdc');
  assert.match(query, /^set -a; \. \.\/\.env; set \+a$/m);
  assert.doesNotMatch(query, /connectors|--config/);
  assert.doesNotMatch(both + log + query, /secret/);
});
