import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { loadConfig } from '#pipeline/index.ts';

let folder: string;
const file = (name: string): string => join(folder, name);
const password = async (environment: Readonly<Record<string, string>>): Promise<string | undefined> =>
  (await loadConfig(file('pipeline.yaml'), environment)).legacyDb.roles.poller?.password;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cdc-secrets-'));
  await writeFile(
    file('pipeline.yaml'),
    "legacyDb: { host: h, database: d, roles: { poller: { user: u, password: '${POLLER_PASSWORD}' } } }\nkafka: { brokers: 'k:1' }\n",
  );
  await writeFile(file('secret'), 'from the file\n');
});
after(() => rm(folder, { recursive: true }));

test('a variable that is not set comes from the file that <NAME>_FILE names, without its last line break', async () => {
  assert.equal(await password({ POLLER_PASSWORD_FILE: file('secret') }), 'from the file');
});

test('a variable that is set counts', async () => {
  assert.equal(await password({ POLLER_PASSWORD: 'set', POLLER_PASSWORD_FILE: file('missing') }), 'set');
});

test('a file that cannot be read is named, with its variable', async () => {
  await assert.rejects(password({ POLLER_PASSWORD_FILE: file('missing') }), (error: Error & { readonly code?: string }) => {
    assert.equal(error.code, 'CONFIG_ENV_MISSING');
    assert.match(error.message, /POLLER_PASSWORD_FILE names a file that cannot be read: .*missing/);
    return true;
  });
});

test('a file of a variable that pipeline.yaml does not refer to is nobody’s business', async () => {
  assert.equal(await password({ POLLER_PASSWORD: 'set', SSL_CERT_FILE: file('missing') }), 'set');
});
