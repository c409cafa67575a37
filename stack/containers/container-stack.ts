import { createHash, randomBytes } from 'node:crypto';
import { access, chmod, mkdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CdcError, describeError } from '#pipeline/index.ts';
import { hasCode, writeSecretFile } from '../state/file.ts';
import { withLock } from '../state/lock.ts';
import { freePort, freePorts } from '../processes/ports.ts';
import { noProgress, withElapsed, type Progress } from '../progress.ts';
import { confluentApi } from '../servers/registry.ts';
import { removeStackState, writeStackState } from '../state/records.ts';
import { runProgram } from '../processes/run-program.ts';
import type { StackState } from '../state/state.ts';

export type ContainerStackOptions = {
  readonly folder: string;
  /** False leaves Kafka Connect out. Default true. */
  readonly connect?: boolean;
  /** True adds a schema registry; a stack that has had one keeps it. Default false. */
  readonly registry?: boolean;
  readonly progress?: Progress;
  readonly signal: AbortSignal;
};

const project = join(import.meta.dirname, '..', '..');
const host = '127.0.0.1';

/**
 * The same servers as containers: those of docker-compose.yml, without the programs. Ports and passwords are drawn once and kept in the
 * folder; images are those that the environment names (CDC_IMAGE_…), else the official ones. On a stack that is up it changes nothing.
 *
 * @throws CdcError CONTAINERS_UNAVAILABLE, CONTAINERS_FAILED with what compose wrote, STACK_BUSY, STACK_FOLDER_INVALID
 */
export async function startContainerStack(options: ContainerStackOptions): Promise<StackState> {
  const folder = resolve(options.folder);
  const { signal, connect = true, progress = noProgress } = options;
  await mkdir(join(folder, 'logs'), { recursive: true });
  return withLock(join(folder, 'up-or-down.lock'), { signal, waitMs: 0 }, async () => {
    const variables = await variablesOf(folder, options.registry ?? false);
    await writeSecrets(folder, variables);
    const state = stateOf(variables, composeProject(folder), connect);
    await writeStackState(folder, state);
    const registry = state.schemaRegistry === undefined ? [] : ['schema-registry'];
    const services = ['legacy-db', 'read-db', 'kafka', ...registry, ...(connect ? ['connect'] : [])];
    try {
      await withElapsed(progress, 'waiting for the containers', () =>
        compose(folder, ['up', '--detach', '--wait', ...services], signal, progress),
      );
    } catch (error) {
      await compose(folder, ['down'], new AbortController().signal, progress).catch(() => undefined);
      await removeStackState(folder);
      throw error;
    }
    return state;
  });
}

/** Removes the containers; their volumes stay, unless `volumes`. */
export async function stopContainerStack(folder: string, volumes: boolean, progress: Progress): Promise<void> {
  await compose(folder, ['down', ...(volumes ? ['--volumes'] : [])], new AbortController().signal, progress);
  if (!volumes) return;
  await rm(variablesFile(folder), { force: true });
  await rm(secretsFolder(folder), { recursive: true, force: true });
}

/** True when the folder keeps a stack of containers, also one that is down. */
export async function hasContainerStack(folder: string): Promise<boolean> {
  return access(variablesFile(folder)).then(
    () => true,
    () => false,
  );
}

/** What compose says of each service: `running`, `exited` …, and its health. */
export async function containerStates(folder: string): Promise<ReadonlyMap<string, string>> {
  const format = '{{.Service}} {{.State}} {{.Health}}';
  const lines = await compose(folder, ['ps', '--all', '--format', format], AbortSignal.timeout(10_000), noProgress);
  return new Map(
    lines.flatMap((line) => {
      const [service, state = '', health = ''] = line.trim().split(' ');
      return service === undefined || service === '' ? [] : [[service, health === '' ? state : health] as const];
    }),
  );
}

function variablesFile(folder: string): string {
  return join(folder, 'containers.env');
}

/** docker-compose.yml takes each password from a file there. */
function secretsFolder(folder: string): string {
  return join(folder, 'secrets');
}

/** Only its owner enters the folder; the files are mounted into containers, whose programs are other users. */
async function writeSecrets(folder: string, variables: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(secretsFolder(folder), { recursive: true, mode: 0o700 });
  for (const [name, value] of Object.entries(variables)) {
    if (!name.endsWith('_PASSWORD')) continue;
    const file = join(secretsFolder(folder), name);
    await writeSecretFile(file, value);
    await chmod(file, 0o644);
  }
}

/** Two stacks side by side are two projects. */
function composeProject(folder: string): string {
  return `legacy-cdc-bridge-${createHash('sha256').update(resolve(folder)).digest('hex').slice(0, 8)}`;
}

async function readVariables(folder: string): Promise<Record<string, string> | null> {
  try {
    const text = await readFile(variablesFile(folder), 'utf8');
    return Object.fromEntries([...text.matchAll(/^([A-Z_0-9]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/** Those of an earlier start where there was one. */
async function variablesOf(folder: string, registry: boolean): Promise<Record<string, string>> {
  const known = await withLogin(folder, (await readVariables(folder)) ?? (await newVariables(folder)));
  if (!registry || known['SCHEMA_REGISTRY_PORT'] !== undefined) return known;
  // The profile is also what lets `down` see the registry.
  const variables = { ...known, SCHEMA_REGISTRY_PORT: String(await freePort()), COMPOSE_PROFILES: 'schema-registry' };
  await writeVariables(folder, variables);
  return variables;
}

/** A stack that was made before Connect asked for a login draws it now. */
async function withLogin(folder: string, variables: Record<string, string>): Promise<Record<string, string>> {
  if (variables['CONNECT_PASSWORD'] !== undefined) return variables;
  const more = { ...variables, CONNECT_USERNAME: 'cdc', CONNECT_PASSWORD: secret() };
  await writeVariables(folder, more);
  return more;
}

async function newVariables(folder: string): Promise<Record<string, string>> {
  const settings = await access(join(folder, 'settings.json')).then(
    () => true,
    () => false,
  );
  if (settings) throw new CdcError('STACK_FOLDER_INVALID', `${folder} holds a stack of processes: reset it first, or name another folder.`);
  const ports = await freePorts(1);
  const variables = {
    LEGACY_DB_SUPERUSER_PASSWORD: secret(),
    LEGACY_DB_OWNER_PASSWORD: secret(),
    LEGACY_DB_APP_PASSWORD: secret(),
    LEGACY_DB_POLLER_PASSWORD: secret(),
    LEGACY_DB_REPLICATOR_PASSWORD: secret(),
    READ_DB_SUPERUSER_PASSWORD: secret(),
    READ_DB_PASSWORD: secret(),
    CONNECT_USERNAME: 'cdc',
    CONNECT_PASSWORD: secret(),
    LEGACY_DB_PORT: String(ports.legacy),
    READ_DB_PORT: String(ports.read),
    KAFKA_PORT: String(ports.kafka),
    CONNECT_PORT: String(ports.connect),
  };
  await writeVariables(folder, variables);
  return variables;
}

async function writeVariables(folder: string, variables: Readonly<Record<string, string>>): Promise<void> {
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
  await writeSecretFile(variablesFile(folder), lines.join(''));
}

function secret(): string {
  return randomBytes(18).toString('base64url');
}

function stateOf(variables: Readonly<Record<string, string>>, name: string, connect: boolean): StackState {
  const of = (key: string): string => variables[key] ?? '';
  const server = (which: 'LEGACY_DB' | 'READ_DB'): StackState['legacyServer'] => ({
    host,
    port: Number(of(`${which}_PORT`)),
    superuser: { user: 'postgres', password: of(`${which}_SUPERUSER_PASSWORD`) },
  });
  const brokers = `localhost:${of('KAFKA_PORT')}`;
  const url = `http://${host}:${of('CONNECT_PORT')}`;
  const port = of('SCHEMA_REGISTRY_PORT');
  const registry = port === '' ? null : { url: `http://${host}:${port}${confluentApi}` };
  const passwords = Object.fromEntries(Object.entries(variables).filter(([key]) => /_(?:OWNER|APP|POLLER|REPLICATOR)_PASSWORD$/.test(key)));
  return {
    legacyServer: server('LEGACY_DB'),
    readServer: server('READ_DB'),
    roles: {
      owner: { user: 'legacy_owner', password: of('LEGACY_DB_OWNER_PASSWORD') },
      application: { user: 'legacy_app', password: of('LEGACY_DB_APP_PASSWORD') },
      poller: { user: 'cdc_poller', password: of('LEGACY_DB_POLLER_PASSWORD') },
      replicator: { user: 'cdc_replicator', password: of('LEGACY_DB_REPLICATOR_PASSWORD') },
    },
    readModel: { user: 'read_model', password: of('READ_DB_PASSWORD') },
    kafka: { brokers },
    ...(connect ? { connect: { url, username: of('CONNECT_USERNAME'), password: of('CONNECT_PASSWORD') } } : {}),
    ...(registry === null ? {} : { schemaRegistry: registry }),
    environment: {
      ...passwords,
      LEGACY_DB_HOST: host,
      LEGACY_DB_PORT: of('LEGACY_DB_PORT'),
      LEGACY_DB_NAME: 'legacy',
      KAFKA_BROKERS: brokers,
      ...(connect ? { CONNECT_URL: url, CONNECT_USERNAME: of('CONNECT_USERNAME'), CONNECT_PASSWORD: of('CONNECT_PASSWORD') } : {}),
      ...(registry === null ? {} : { SCHEMA_REGISTRY_URL: registry.url }),
      READ_DB_HOST: host,
      READ_DB_PORT: of('READ_DB_PORT'),
      READ_DB_NAME: 'read_model',
      READ_DB_USER: 'read_model',
      READ_DB_PASSWORD: of('READ_DB_PASSWORD'),
    },
    containers: { project: name },
    processes: [],
  };
}

/** @returns the last lines that compose wrote */
async function compose(folder: string, args: readonly string[], signal: AbortSignal, progress: Progress): Promise<readonly string[]> {
  const files = [
    '--project-name',
    composeProject(folder),
    '--env-file',
    variablesFile(folder),
    '--file',
    join(project, 'docker-compose.yml'),
  ];
  // What stands in the file counts, whatever this shell has set for another stack.
  const own = (await readVariables(folder)) ?? {};
  const env = { ...process.env, ...own, CDC_SECRETS: secretsFolder(folder) };
  const onLine = (line: string): void => {
    if (/ (?:Built|Healthy|Removed|Pulled)\s*$/.test(line)) progress(line.trim());
  };
  let outcome: Awaited<ReturnType<typeof runProgram>>;
  try {
    outcome = await runProgram('docker', ['compose', ...files, ...args], { env, cwd: project, signal, onLine });
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    throw new CdcError('CONTAINERS_UNAVAILABLE', `\`docker\` was not found (${describeError(error)}).`, { cause: error });
  }
  if (outcome.code === 0) return outcome.lines;
  const text = outcome.lines.slice(-15).join('\n');
  if (/Cannot connect to the Docker daemon|unknown (?:shorthand )?(?:flag|command)/.test(text)) {
    throw new CdcError('CONTAINERS_UNAVAILABLE', `docker compose ${args[0] ?? ''}: ${text}`);
  }
  throw new CdcError('CONTAINERS_FAILED', `docker compose ${args[0] ?? ''} of project ${composeProject(folder)} failed:\n${text}`);
}
