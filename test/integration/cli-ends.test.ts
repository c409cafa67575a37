import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { nodeFlags } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { createMuteProxy, type MuteProxy } from '#test/support/mute-proxy.ts';
import { testStack } from '#test/support/stack.ts';

const cli = new URL('../../cli.ts', import.meta.url).pathname;

type Silent = { readonly kafka: MuteProxy; readonly legacy: MuteProxy; readonly read: MuteProxy; readonly connect: MuteProxy };

/** What runs until a signal ends it, or waits for a server: with whichever of them silent. */
const cases: readonly (readonly [command: string, silent: readonly (keyof Silent)[]])[] = [
  ['poller start', ['legacy']],
  ['poller start --once', ['kafka', 'legacy']],
  ['poller status', ['kafka']],
  ['poller reset', ['kafka']],
  ['read-model start', ['kafka']],
  ['read-model start', ['read']],
  ['read-model status', ['read', 'kafka']],
  ['read-model parked list', ['read']],
  ['connectors watch', ['connect']],
  ['connectors watch', ['legacy']],
  ['connectors status', ['connect', 'legacy']],
  ['doctor', ['legacy', 'connect']],
  ['compare', ['legacy', 'read', 'kafka']],
];

function portOf(address: string): { readonly host: string; readonly port: number } {
  const [host = '', port] = address.split(':');
  return { host, port: Number(port) };
}

async function servers(): Promise<{
  readonly silent: Silent;
  readonly stack: AsyncDisposableStack;
  readonly config: (of: readonly (keyof Silent)[]) => unknown;
}> {
  const stack = new AsyncDisposableStack();
  const { kafka, legacyServer: postgres, connect } = await testStack();
  assert.ok(connect);
  const proxied = async (target: { readonly host: string; readonly port: number }): Promise<MuteProxy> => {
    const proxy = stack.use(await createMuteProxy(target));
    proxy.mute();
    return proxy;
  };
  const { hostname, port } = new URL(connect.url);
  const rest = { host: hostname, port: Number(port) };
  const silent = {
    kafka: await proxied(portOf(kafka.brokers)),
    legacy: await proxied(postgres),
    read: await proxied(postgres),
    connect: await proxied(rest),
  };
  const config = (of: readonly (keyof Silent)[]): unknown => {
    const at = (name: keyof Silent, open: { readonly host: string; readonly port: number }): { host: string; port: number } =>
      of.includes(name) ? { host: '127.0.0.1', port: silent[name].port } : { host: open.host, port: open.port };
    const login = { user: 'nobody', password: 'nothing' };
    const [broker, rests] = [at('kafka', portOf(kafka.brokers)), at('connect', rest)];
    return {
      legacyDb: {
        ...at('legacy', postgres),
        database: 'none',
        roles: { owner: login, poller: login, replicator: login, application: login },
      },
      kafka: { brokers: `${broker.host}:${broker.port}` },
      poller: { name: 'never', topicPrefix: 'never', tables: [{ table: 'public.t' }] },
      connect: { url: `http://${rests.host}:${rests.port}`, topicPrefix: 'neverlog', connectors: ['./connector.json'] },
      readModel: {
        ...at('read', postgres),
        database: 'none',
        ...login,
        models: { m: { topicPrefix: 'never', groupId: 'never' }, n: { topicPrefix: 'neverlog', groupId: 'neverlog' } },
      },
    };
  };
  return { silent, stack, config };
}

const connector = {
  name: 'never',
  config: {
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'table.include.list': 'public.t',
    'topic.prefix': 'neverlog',
    'slot.name': 's',
    'publication.name': 'p',
  },
};

suite('whatever a process waits for, it ends on a signal', { concurrency: 4 }, () => {
  for (const [command, of] of cases) {
    test(`${command}, while ${of.join(' and ')} does not answer`, { timeout: 300_000 }, async () => {
      const { silent, stack, config } = await servers();
      await using _ = stack;
      const folder = await mkdtemp(join(tmpdir(), 'cdc-ends-'));
      try {
        await writeFile(join(folder, 'pipeline.json'), JSON.stringify(config(of)));
        await writeFile(join(folder, 'connector.json'), JSON.stringify(connector));
        const args = [...nodeFlags, cli, '--config', join(folder, 'pipeline.json'), ...command.split(' ')];
        const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder });
        const exit = once(child, 'exit');
        let said = '';
        for (const output of [child.stdout, child.stderr]) output.on('data', (text) => (said += String(text)));
        const limits = { signal: AbortSignal.timeout(200_000), timeoutMs: 200_000, describe: `${command} asks a silent server` };
        await waitFor(async () => child.exitCode !== null || of.some((name) => silent[name].saidInVain() > 0), limits);
        assert.equal(child.exitCode, null, said);
        const reported = performance.now();
        child.kill('SIGTERM');
        await exit;
        const seconds = (performance.now() - reported) / 1000;
        if (process.env['LOG_LEVEL'] !== undefined)
          process.stderr.write(`${command} (${of.join()}): ended after ${seconds.toFixed(1)} s\n`);
        assert.match(said, /SIGTERM: stopping/);
        // Ended by its own grace, not by this test's limit.
        assert.equal(child.signalCode, null);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  }
});
