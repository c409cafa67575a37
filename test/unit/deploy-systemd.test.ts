import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, cp, glob, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { loadConfig } from '#pipeline/index.ts';
import { problemOfCommand } from '#test/support/cdc-command.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { graceMs } from '../../cli/endings.ts';

const run = promisify(execFile);
const units = join(repositoryRoot, 'deploy/systemd');
const program = '/opt/cdc/node_modules/.bin/cdc';

/** The lines of a unit file with that key, in order. */
const valuesOf = (text: string, key: string): readonly string[] =>
  text.split('\n').flatMap((line) => (line.startsWith(`${key}=`) ? [line.slice(key.length + 1)] : []));

/** systemd's own look at the files, with `root` as the host. 250 is the first that takes a root. */
async function verify(root: string): Promise<string> {
  const names = (await readdir(join(root, 'etc/systemd/system'))).filter((name) => name.endsWith('.service'));
  const files = names.map((name) => join(root, 'etc/systemd/system', name));
  const { stderr } = await run('systemd-analyze', [`--root=${root}`, '--man=no', '--recursive-errors=no', 'verify', ...files]).catch(
    (error: unknown) => (error instanceof Error && 'stderr' in error ? { stderr: String(error.stderr) } : Promise.reject(error)),
  );
  // The root has no other units.
  return stderr
    .split('\n')
    .filter((line) => !/Failed to create .*\.target not found/.test(line))
    .join('\n')
    .trim();
}

const version = await run('systemd-analyze', ['--version']).then(
  ({ stdout }) => Number(/^systemd (?<major>\d+)/.exec(stdout)?.groups?.['major']),
  () => 0,
);
const whyNoSystemd = version < 250 ? 'no systemd-analyze 250 or newer here (Debian: apt-get install systemd)' : false;

describe('deploy/systemd', () => {
  let root: string;
  let text: Readonly<Record<string, string>>;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'release-host-'));
    const found = await Array.fromAsync(glob('*.service', { cwd: units }));
    text = Object.fromEntries(
      await Promise.all(found.map(async (file) => [basename(file, '.service'), await readFile(join(units, file), 'utf8')] as const)),
    );
  });
  after(() => rm(root, { recursive: true }));

  test('each unit runs a command of cdc, and gives it the passwords that pipeline.yaml refers to, as files', async () => {
    const pipeline = join(repositoryRoot, 'pipeline.yaml');
    const config = await loadConfig(pipeline, {});
    const referred = await readFile(pipeline, 'utf8');
    const common = await readFile(join(units, 'cdc-.service.d/common.conf'), 'utf8');
    assert.equal(Object.keys(text).length, 6);
    for (const [name, unit] of Object.entries(text)) {
      const [command = ''] = valuesOf(unit, 'ExecStart');
      assert.ok(command.startsWith(`${program} `), name);
      assert.equal(await problemOfCommand(command.split(' ').slice(1), config), null, name);
      const secrets = valuesOf(unit, 'LoadCredential').map((one) => one.split(':', 1).join(''));
      assert.ok(secrets.length > 0, name);
      assert.deepEqual(
        valuesOf(unit, 'LoadCredential'),
        secrets.map((secret) => `${secret}:/etc/cdc/secrets/${secret}`),
        name,
      );
      assert.deepEqual(
        valuesOf(unit, 'Environment'),
        secrets.map((secret) => `${secret}_FILE=%d/${secret}`),
        name,
      );
      for (const secret of secrets) assert.ok(referred.includes(`\${${secret}`), `${name}: pipeline.yaml does not refer to ${secret}`);
    }
    assert.ok(Number(valuesOf(common, 'TimeoutStopSec')[0]) * 1000 > graceMs);
  });

  test('docs/systemd.md names each unit with its command and passwords, and its commands put all files in their places', async () => {
    const page = await readFile(join(repositoryRoot, 'docs/systemd.md'), 'utf8');
    for (const [name, unit] of Object.entries(text)) {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\` |`)) ?? '';
      const [command = ''] = valuesOf(unit, 'ExecStart');
      // The port is one of several ways to say it.
      assert.ok(row.includes(`\`${command.replace(program, 'cdc').replace(/ --metrics-port .*/, '')}\``), name);
      const [secret = ''] = valuesOf(unit, 'LoadCredential');
      assert.ok(row.includes(`\`${secret.split(':', 1).join('')}\``), name);
    }
    // A reader's clone: with passwords, and a host whose root is a folder.
    const clone = join(root, 'clone');
    for (const part of ['pipeline.yaml', 'connectors', 'projections', 'deploy/systemd'])
      await cp(join(repositoryRoot, part), join(clone, part), { recursive: true });
    await mkdir(join(clone, '.secrets'));
    const secrets = new Set(
      Object.values(text).flatMap((unit) => valuesOf(unit, 'LoadCredential').map((one) => one.split(':', 1).join(''))),
    );
    for (const secret of secrets) await writeFile(join(clone, '.secrets', secret), 'a password');
    await mkdir(join(root, 'etc/systemd/system'), { recursive: true });
    const block = /```sh\n(?<commands>npm ci.*?)```/s.exec(page)?.groups?.['commands'] ?? '';
    const commands = block.split('\n').filter((line) => /^sudo (?:install|cp) /.test(line));
    assert.equal(commands.length, 7);
    const here = commands.map((line) => line.replace('sudo ', '').replaceAll(' /etc/', ` ${root}/etc/`));
    await run('sh', ['-euc', here.join('\n')], { cwd: clone });
    assert.deepEqual((await readdir(join(root, 'etc/cdc/secrets'))).toSorted(), [...secrets].toSorted());
    for (const file of [
      'cdc/pipeline.yaml',
      'cdc/connectors/legacy-orders.json',
      'cdc/projections/order_view.sql',
      'systemd/system/cdc-.service.d/common.conf',
    ])
      assert.ok((await readFile(join(root, 'etc', file))).length > 0, file);
  });

  describe('systemd', { skip: whyNoSystemd }, () => {
    let host: string;
    before(async () => {
      host = join(root, 'host');
      await mkdir(join(host, 'opt/cdc/node_modules/.bin'), { recursive: true });
      await writeFile(join(host, program), '#!/bin/sh\n');
      await chmod(join(host, program), 0o755);
      await cp(units, join(host, 'etc/systemd/system'), { recursive: true });
    });

    test('takes the units, and calls them little exposed', async () => {
      assert.equal(await verify(host), '');
      const names = Object.keys(text).map((name) => `${name}.service`);
      // In tenths. What is left: the network, netlink, /proc, memory that Node writes and runs.
      const args = [`--root=${host}`, '--offline=true', '--threshold=20', '--no-pager', 'security', ...names];
      await run('systemd-analyze', args);
    });

    for (const [what, file, from, to, pattern] of [
      ['a key that is misspelt', 'cdc-.service.d/common.conf', 'RestartSec=', 'RestartSecs=', /Unknown key.* 'RestartSecs'/],
      ['a value that is none', 'cdc-.service.d/common.conf', 'ProtectHome=yes', 'ProtectHome=perhaps', /Failed to parse.*perhaps/i],
      ['a program that is not there', 'cdc-guard.service', '/.bin/cdc', '/.bin/cdb', /cdc-guard.service: Command .*cdb is not executable/],
    ] as const) {
      test(`refuses ${what}`, async () => {
        const place = join(host, 'etc/systemd/system', file);
        const good = await readFile(place, 'utf8');
        await writeFile(place, good.replace(from, to));
        const said = await verify(host);
        await writeFile(place, good);
        assert.match(said, pattern);
      });
    }
  });
});
