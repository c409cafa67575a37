import { createHash } from 'node:crypto';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CdcError, describeError } from '#pipeline/index.ts';
import { exists, hasCode, writeSecretFile } from '../state/file.ts';
import { withLock } from '../state/lock.ts';
import { noProgress, withElapsed, type Progress } from '../progress.ts';
import { stackState } from '../roles-and-variables.ts';
import { removeStackState, writeStackState } from '../state/records.ts';
import { runProgram } from '../processes/run-program.ts';
import type { StackState } from '../state/state.ts';
import { accessOf, readVariables, variablesFile, variablesOf, type ComposeVariables } from './variables.ts';

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

/**
 * The same servers as containers: those of docker-compose.yml, without the programs. Ports and passwords are drawn once and kept in the
 * folder; images are those that the environment names (CDC_IMAGE_…), else the official ones. On a stack that is up it changes nothing.
 *
 * @throws CdcError CONTAINERS_UNAVAILABLE, CONTAINERS_FAILED with what compose wrote, STACK_BUSY, STACK_FOLDER_INVALID
 */
export async function startContainerStack(options: ContainerStackOptions): Promise<StackState> {
  const folder = resolve(options.folder);
  const { signal, connect = true, progress = noProgress } = options;
  if (!(await exists(join(project, 'docker-compose.yml'))))
    throw new CdcError(
      'CONTAINERS_UNAVAILABLE',
      'The installed package has no docker-compose.yml: a stack of containers starts from a clone.',
      {
        remedy: 'Leave out --as containers, or run it in a clone of the repository.',
      },
    );
  await mkdir(join(folder, 'logs'), { recursive: true });
  return withLock(join(folder, 'up-or-down.lock'), { signal, waitMs: 0 }, async () => {
    const variables = await variablesOf(folder, options.registry ?? false);
    await writeSecrets(folder, variables);
    const access = accessOf(variables);
    const parts = { connect, mariadb: false, h2: false, registry: access.ports.registry !== undefined, identityProvider: false };
    // Kafka gives this address to its clients.
    const brokers = `localhost:${variables['KAFKA_PORT']}`;
    const state = { ...stackState(access, parts, brokers), containers: { project: composeProject(folder) } };
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
  return exists(variablesFile(folder));
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

/** docker-compose.yml takes each password from a file there. */
function secretsFolder(folder: string): string {
  return join(folder, 'secrets');
}

/** Only its owner enters the folder; the files are mounted into containers, whose programs are other users. */
async function writeSecrets(folder: string, variables: ComposeVariables): Promise<void> {
  await mkdir(secretsFolder(folder), { recursive: true, mode: 0o700 });
  for (const [name, value] of Object.entries(variables)) {
    if (!name.endsWith('_PASSWORD')) continue;
    const file = join(secretsFolder(folder), name);
    await writeSecretFile(file, value);
    await chmod(file, 0o644);
  }
  // Of a stack that was made before there was the role. Its server is not set up again: the file only has to be there.
  for (const name of rolesOfServices) {
    const file = join(secretsFolder(folder), name);
    if (variables[name] === undefined) await writeSecretFile(file, '');
  }
}

const rolesOfServices = ['QUERY_API_DB_PASSWORD', 'ORDER_SERVICE_DB_PASSWORD'] as const;

/** Two stacks side by side are two projects. */
function composeProject(folder: string): string {
  return `legacy-cdc-bridge-${createHash('sha256').update(resolve(folder)).digest('hex').slice(0, 8)}`;
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
  // What is in the file counts, whatever this shell has set for another stack.
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
