import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { Client } from 'pg';
import { describeError, loadConfig, nodeFlags, type PipelineConfig } from '#pipeline/index.ts';
import { lastWords } from './compose-last-words.ts';
import { docker } from './container-images.ts';
import { isAlive } from './is-alive.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
/** Of projects that tests start; then comes the test's process id. */
const projectPrefix = 'cdc-test-';

/** docker-compose.yml up, as a project of its own with free ports and drawn passwords. Disposing it is `down --volumes`. */
export type ComposeProject = AsyncDisposable & {
  readonly name: string;
  /** Its copies of pipeline.yaml and connectors/*.json, which a test may change. */
  readonly folder: string;
  /** What .env holds, as it is set for commands on this machine; passwords by their files. */
  readonly environment: Readonly<Record<string, string>>;
  readonly compose: (...args: readonly string[]) => Promise<string>;
  /** `cdc …` on this machine, against it. */
  readonly cdc: (...args: readonly string[]) => Promise<string>;
  /** Its pipeline.yaml, as commands on this machine see it. */
  readonly config: () => Promise<PipelineConfig>;
  /** Runs `work`; its failure then also says how the connector and the read models are and what the services said last. */
  readonly explained: <T>(work: () => Promise<T>) => Promise<T>;
  /** One statement; the values of the rows as text. */
  readonly sql: (where: 'legacy' | 'read', statement: string) => Promise<string[]>;
};

export async function startCompose(options: {
  readonly signal: AbortSignal;
  /** Variables over those of .env.example. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Further files of variables, below those of `variables`. */
  readonly envFiles?: readonly string[];
}): Promise<ComposeProject> {
  const { signal, variables = {}, envFiles = [] } = options;
  const name = `${projectPrefix}${process.pid}-${randomBytes(3).toString('hex')}`;
  await using opened = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), `${name}-`));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  await cp(join(root, 'pipeline.yaml'), join(folder, 'pipeline.yaml'));
  await cp(join(root, 'containers', 'postgres'), join(folder, 'containers', 'postgres'), { recursive: true });
  for (const file of await readdir(join(root, 'connectors')))
    if (file.endsWith('.json')) await cp(join(root, 'connectors', file), join(folder, 'connectors', file));
  await cp(join(root, 'projections'), join(folder, 'projections'), { recursive: true });
  const secrets = join(folder, '.secrets');
  await run(join(root, 'containers', 'secrets'), [secrets], { signal });
  const environment = { ...(await environmentOf(await readFile(join(root, '.env.example'), 'utf8'), secrets)), ...variables };
  const lines = Object.entries({ ...environment, ...images() }).map(([key, value]) => `${key}=${value}\n`);
  await writeFile(join(folder, 'env'), lines.join(''), { mode: 0o600 });
  const files = [...envFiles, join(folder, 'env')].flatMap((file) => ['--env-file', file]);
  const compose = (args: readonly string[], until?: AbortSignal): Promise<string> =>
    docker(
      ['compose', '--project-name', name, '--file', join(root, 'docker-compose.yml'), '--project-directory', folder, ...files, ...args],
      until,
    );
  // Also when the time is over: nothing may stay behind.
  opened.defer(async () => void (await compose(['--profile', '*', 'down', '--volumes', '--timeout', '30'])));
  try {
    await compose(['up', '--detach', '--wait', '--quiet-pull'], signal);
  } catch (error) {
    throw new Error(`docker compose up failed; the services say:\n${await compose(['logs', '--no-color', '--tail', '15']).catch(String)}`, {
      cause: error,
    });
  }
  const cdc = async (args: readonly string[], until: AbortSignal): Promise<string> => {
    const flags = [...nodeFlags, 'cli.ts', '--config', join(folder, 'pipeline.yaml'), ...args];
    return (await run(process.execPath, flags, { cwd: root, env: { ...process.env, ...environment }, signal: until })).stdout;
  };
  const resources = opened.move();
  return {
    name,
    folder,
    environment,
    compose: (...args) => compose(args, signal),
    cdc: (...args) => cdc(args, signal),
    explained: async (work) => {
      try {
        return await work();
      } catch (error) {
        // Not under the test's own time, which may be what is over.
        const words = await lastWords({ compose, cdc }, AbortSignal.timeout(60_000));
        throw new Error(`${describeError(error)}\n${words}`, { cause: error });
      }
    },
    config: () => loadConfig(join(folder, 'pipeline.yaml'), environment),
    sql: async (where, statement) => {
      const read = where === 'read';
      const client = new Client({
        host: '127.0.0.1',
        port: Number(environment[read ? 'READ_DB_PORT' : 'LEGACY_DB_PORT']),
        database: read ? 'read_model' : 'legacy',
        user: read ? 'read_model' : 'legacy_owner',
        password: await readFile(join(secrets, read ? 'READ_DB_PASSWORD' : 'LEGACY_DB_OWNER_PASSWORD'), 'utf8'),
      });
      await client.connect();
      try {
        const { rows } = await client.query<string[]>({ text: statement, rowMode: 'array' });
        return rows.flat().map(String);
      } finally {
        await client.end();
      }
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** The label of a container that a test started by itself: the process id. */
export const processLabel = 'legacy-cdc-bridge.test-process';

/** What test processes were killed over, before they could remove it: an engine starts the containers of a compose project again. */
export async function removeAbandonedContainers(say: (text: string) => void): Promise<void> {
  const format = `{{.ID}} {{.Label "com.docker.compose.project"}} {{.Label "${processLabel}"}}`;
  const gone = new Set<string>();
  for (const line of (await docker(['ps', '--all', '--format', format])).split('\n')) {
    const [id = '', project = '', label = ''] = line.split(' ');
    const pid = new RegExp(`^${projectPrefix}(\\d+)-`).exec(project)?.[1] ?? label;
    if (pid === '' || isAlive(Number(pid)) || gone.has(project)) continue;
    say(`removing what test process ${pid} left behind: ${project === '' ? `container ${id}` : project}`);
    if (project === '') await docker(['rm', '--force', '--volumes', id]);
    else await docker(['compose', '--project-name', project, 'down', '--volumes', '--timeout', '5']);
    if (project !== '') gone.add(project);
  }
  // Only those that nothing uses.
  await docker(['network', 'prune', '--force', '--filter', 'label=org.testcontainers=true']);
}

/** .env.example with passwords in `secrets`, and free ports. */
async function environmentOf(example: string, secrets: string): Promise<Record<string, string>> {
  const pairs = [...example.matchAll(/^([A-Z_0-9]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value] as const);
  const values = Object.fromEntries(pairs.map(([name, value]) => [name, value.replace(/^\.\/\.secrets/, secrets)]));
  for (const name of [
    'LEGACY_DB_PORT',
    'READ_DB_PORT',
    'KAFKA_PORT',
    'CONNECT_PORT',
    'SCHEMA_REGISTRY_PORT',
    'POLLER_HTTP_PORT',
    'GUARD_HTTP_PORT',
    'GATEWAY_PORT',
    'IDENTITY_PROVIDER_PORT',
  ])
    values[name] = String(await getPort());
  return {
    ...values,
    KAFKA_BROKERS: `localhost:${values['KAFKA_PORT'] ?? ''}`,
    CONNECT_URL: `http://localhost:${values['CONNECT_PORT'] ?? ''}`,
    GATEWAY_URL: `http://localhost:${values['GATEWAY_PORT'] ?? ''}`,
    CDC_JVM_OPTIONS: '-XX:+UseSerialGC -XX:TieredStopAtLevel=1',
  };
}

function images(): Record<string, string> {
  const names = ['CDC_IMAGE_POSTGRES', 'CDC_IMAGE_KAFKA', 'CDC_IMAGE_REGISTRY', 'CDC_IMAGE_APP', 'CDC_IMAGE_CONNECT'] as const;
  return Object.fromEntries(
    names.map((name) => {
      const value = process.env[name];
      assert.ok(value, `${name} is not set: run container tests with npm run test:containers, which prepares the images`);
      return [name, value];
    }),
  );
}
