import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { CdcError } from '#pipeline/index.ts';
import { resolveJars, waitFor } from '#stack/index.ts';
import { connectServer } from '#stack/servers/connect.ts';
import { requireJava } from '#stack/servers/java/java.ts';
import { prepareTestConnector, removeConnector, removeTopics } from '#test/support/connect.ts';
import { deleteTopicsOf } from '#test/support/kafka.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { connectorsTerminal, type Terminal } from '#test/support/terminal.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { connectClient } from '#connectors/index.ts';

const limit = { signal: AbortSignal.timeout(200_000), timeoutMs: 120_000 };
const user = { username: 'me', password: 'right' };

type SecureWorker = AsyncDisposable & { readonly url: string; readonly caFile: string; readonly runs: () => boolean };

/** A worker of its own whose REST interface is https with a login, on the shared Kafka. */
async function startSecureWorker(folder: string): Promise<SecureWorker> {
  const port = await getPort();
  const name = uniqueName('secure');
  const { kafka, environment, roles } = await testStack();
  const java = await requireJava();
  const jars = { signal: limit.signal, progress: () => undefined };
  await mkdir(folder, { recursive: true });
  const [keystore, caFile] = [join(folder, 'keys.p12'), join(folder, 'ca.pem')];
  const keytool = async (...args: readonly string[]): Promise<void> => {
    const program = java.includes('/') ? join(dirname(java), 'keytool') : 'keytool';
    await promisify(execFile)(program, ['-keystore', keystore, '-storepass', 'changeit', '-alias', 'worker', ...args]);
  };
  await keytool(
    '-genkeypair',
    '-keyalg',
    'EC',
    '-storetype',
    'PKCS12',
    '-dname',
    'CN=worker',
    '-ext',
    'san=ip:127.0.0.1',
    '-validity',
    '2',
  );
  await keytool('-exportcert', '-rfc', '-file', caFile);
  await writeFile(join(folder, 'users.properties'), `${user.username}: ${user.password}\n`);
  const loginModule = 'org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule';
  const jaas = join(folder, 'jaas.conf');
  await writeFile(jaas, `KafkaConnect { ${loginModule} required file="${join(folder, 'users.properties')}"; };\n`);
  const { launch } = connectServer({
    name,
    port,
    brokers: kafka.brokers,
    folder,
    environment: { ...environment, LEGACY_DB_REPLICATOR_USER: roles.replicator.user },
    runtime: async () => ({
      java,
      jars: await resolveJars('kafka', jars),
      plugins: { 'debezium-postgres': await resolveJars('debezium-postgres', jars) },
    }),
  });
  const { command, args, cwd, env } = await launch(limit.signal);
  const settings = {
    'group.id': name,
    'offset.storage.topic': `${name}.offsets`,
    'config.storage.topic': `${name}.configs`,
    'status.storage.topic': `${name}.status`,
    listeners: `https://127.0.0.1:${port}`,
    'rest.extension.classes': 'org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension',
    'ssl.keystore.location': keystore,
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.password': 'changeit',
    'ssl.key.password': 'changeit',
  };
  // Of a setting that is there twice, the last one holds.
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
  await appendFile(join(folder, 'connect.properties'), `\n${lines.join('')}`);
  // On the class path, not as a plugin: Java looks for a login module there.
  const login = join(await resolveJars('connect-basic-auth', jars), '*');
  const withLogin = args.map((arg, index) => (args[index - 1] === '-cp' ? `${arg}:${login}` : arg));
  const worker = spawn(command, [`-Djava.security.auth.login.config=${jaas}`, ...withLogin], { cwd, env: { ...env }, stdio: 'ignore' });
  const exited = once(worker, 'exit');
  return {
    url: `https://127.0.0.1:${port}`,
    caFile,
    runs: () => worker.exitCode === null,
    async [Symbol.asyncDispose]() {
      worker.kill('SIGTERM');
      await exited;
      await deleteTopicsOf(name);
    },
  };
}

test('a real Connect behind https and a login: unknown CA and wrong password are refused, with both right a connector is applied and deleted', async () => {
  await using db = await createLegacyDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'connectors-tls-'));
  try {
    await using worker = await startSecureWorker(join(folder, 'connect'));
    const { file } = await prepareTestConnector({ database: db, tables: ['public.products'] });
    await writeFile(join(folder, 'orders.json'), JSON.stringify(file));
    const { kafka } = await testStack();
    const topicPrefix = file.config['topic.prefix'];
    const cliWith = (access: object): Terminal =>
      connectorsTerminal(
        {
          legacyDb: db.config,
          kafka: { brokers: kafka.brokers, replicationFactor: 1 },
          connect: { url: worker.url, connectors: ['orders.json'], topicPrefix, ...access },
        },
        folder,
      );
    const tls = { caFile: worker.caFile };
    const cli = cliWith({ ...user, tls });
    const client = connectClient({ url: worker.url, ...user, tls: { caFile: worker.caFile, rejectUnauthorized: true } });
    await waitFor(() => answers(cli, worker), { ...limit, describe: 'the worker answers' });
    try {
      await assert.rejects(cliWith(user).run('list'), { code: 'CONNECT_UNREACHABLE', message: /certificate/ });
      await assert.rejects(cliWith({ tls }).run('list'), { code: 'CONNECT_LOGIN_REFUSED' });
      await assert.rejects(cliWith({ ...user, password: 'wrong', tls }).run('plan'), { code: 'CONNECT_LOGIN_REFUSED' });
      assert.equal((await cli.run('apply')).printed, `${file.name}: created; RUNNING, 1 task`);
      assert.equal((await cli.run('plan')).printed, `${file.name}: no changes`);
      await cli.run('delete', file.name, '--drop-slot');
      assert.equal((await cli.run('list')).printed, `no connectors at ${worker.url}`);
    } finally {
      await removeConnector(client, file.name, db.replicator);
      if (topicPrefix !== undefined) await removeTopics(topicPrefix);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

async function answers(cli: Terminal, worker: SecureWorker): Promise<boolean> {
  assert.ok(worker.runs(), 'the worker has ended');
  try {
    await cli.run('list');
    return true;
  } catch (error) {
    if (error instanceof CdcError && ['CONNECT_UNREACHABLE', 'CONNECT_REQUEST_REFUSED'].includes(error.code)) return false;
    throw error;
  }
}
