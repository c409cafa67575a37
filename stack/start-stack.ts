import { access, chmod, mkdir, mkdtemp, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CdcError } from '#pipeline/index.ts';
import { resolveJars } from './servers/java/jars.ts';
import { requireJava, type JvmMode } from './servers/java/java.ts';
import { withLock } from './state/lock.ts';
import { requireNode } from './node-version.ts';
import { postgresBinaries } from './servers/postgres-binaries.ts';
import { requireMariadbPlatform } from './servers/mariadb-files.ts';
import { freePort, freePorts } from './processes/ports.ts';
import { isSameProcess } from './processes/process-identity.ts';
import { noProgress, type Progress } from './progress.ts';
import { readStackState, type ProcessRecord, type StackState } from './state/state.ts';
import { removeStackState, writeStackState } from './state/records.ts';
import { brokerAddresses, composeServers, connectPlugins, stackServers, type Servers } from './servers/servers.ts';
import { stackState, type StackParts } from './roles-and-variables.ts';
import {
  newSettings,
  readSettings,
  withConnectLogin,
  withH2,
  withIdentityProvider,
  withMariadb,
  withRegistry,
  writeSettings,
  type StackSettings,
} from './settings.ts';
import { canEnter, enterableTemporaryFolder, postgresUser } from './processes/unprivileged-user.ts';
import { formatSeconds } from './wait-for.ts';

export type StartOptions = {
  /** State folder: settings, data, logs, stack.json. Made when it is missing. */
  readonly folder: string;
  /** False leaves Kafka Connect out. Default true. */
  readonly connect?: boolean;
  /** True adds a MariaDB; a stack that runs one keeps it. Default false. Linux on x64 only. */
  readonly mariadb?: boolean;
  /** True adds an H2; a stack that runs one keeps it. Default false. */
  readonly h2?: boolean;
  /** True adds a schema registry; a stack that runs one keeps it. Default false. */
  readonly registry?: boolean;
  /** True adds an OpenID provider for the services; a stack that runs one keeps it. Default false. */
  readonly identityProvider?: boolean;
  /** True for a stack that nobody needs after a crash of the machine: Postgres without fsync. Settled when the stack is made. */
  readonly throwaway?: boolean;
  /** `fast` runs Kafka with the full compiler, for benchmarks. Default `small`. Settled when the stack is made. */
  readonly jvm?: JvmMode;
  /** 3 for a Kafka cluster that survives the loss of a broker. Default 1. Settled when the stack is made. */
  readonly brokers?: 1 | 3;
  readonly progress?: Progress;
  readonly signal: AbortSignal;
};

/**
 * Starts the real servers as processes that outlive this one, and resolves once every one of them answers. On a stack that is up
 * it does nothing but say so; one that is partly up is completed; one that was stopped goes on with its data. When it fails or
 * is aborted, everything that this call started is stopped again. A MariaDB or a schema registry that comes to a stack that is up restarts
 * its Connect, which needs the connector or the converter for it.
 *
 * @throws CdcError JAVA_MISSING, MAVEN_MISSING, JARS_UNRESOLVED, POSTGRES_UNSUITABLE, STACK_START_FAILED (names the log), STACK_BUSY,
 *   STACK_FOLDER_INVALID, STACK_DATA_LOST, MARIADB_UNSUITABLE
 */
export async function startStack(options: StartOptions): Promise<StackState> {
  const folder = resolve(options.folder);
  refuseUnusableName(folder);
  await mkdir(join(folder, 'logs'), { recursive: true });
  return withLock(join(folder, 'up-or-down.lock'), { signal: options.signal, waitMs: 0 }, () => start(folder, options));
}

async function start(folder: string, options: StartOptions): Promise<StackState> {
  const { signal, progress = noProgress, throwaway = false, jvm = 'small', brokers = 1 } = options;
  const started = performance.now();
  const before = await pruned(folder);
  const parts: StackParts = {
    connect: (options.connect ?? true) || before?.connect !== undefined,
    mariadb: (options.mariadb ?? false) || before?.mariadb !== undefined,
    h2: (options.h2 ?? false) || before?.h2 !== undefined,
    registry: (options.registry ?? false) || before?.schemaRegistry !== undefined,
    identityProvider: (options.identityProvider ?? false) || before?.identityProvider !== undefined,
  };
  const kept = await readSettings(folder);
  const servers = kept === null || before === null ? null : stackServers(kept, parts, { folder, progress });
  const running = servers === null ? new Set<string>() : await healthyServers(servers);
  const isKnown = (['mariadb', 'h2', 'registry', 'identityProvider'] as const).every(
    (part) => !parts[part] || kept?.ports[part] !== undefined,
  );
  if (servers !== null && before !== null && isKnown && isComplete(servers, running)) {
    progress(`the stack in ${folder} is up already`);
    return before;
  }
  // What is missing on this machine, before anything is made.
  requireNode();
  await postgresBinaries(await postgresUser());
  await requireJava();
  await resolveJars('kafka', { signal, progress });
  if (parts.connect)
    for (const set of [...connectPlugins(parts), 'connect-basic-auth'] as const) await resolveJars(set, { signal, progress });
  if (parts.mariadb) {
    requireMariadbPlatform();
    await resolveJars('mariadb', { signal, progress });
  }
  if (parts.h2) await resolveJars('h2', { signal, progress });
  if (parts.registry) await resolveJars('apicurio-registry', { signal, progress });
  const settings = await settingsFor(folder, kept, { throwaway, jvm, brokers, parts });

  const isNew = (parts.mariadb && before?.mariadb === undefined) || (parts.registry && before?.schemaRegistry === undefined);
  const restarted = servers !== null && isNew ? servers.onTop : [];
  // A worker that runs already has neither the new server's plugin nor its address.
  await Promise.all(restarted.map((server) => server.down()));
  for (const { name } of restarted) running.delete(name);
  const processes = (before?.processes ?? []).filter(({ name }) => !restarted.some((server) => server.name === name));
  if (processes.length > 0) await bringUp(folder, settings, { parts, running, processes, progress, signal });
  else await bringUpOnFreePorts(folder, settings, { parts, running, processes, progress, signal });
  progress(`the stack in ${folder} is up (${formatSeconds(performance.now() - started)})`);
  const state = await readStackState(folder);
  if (state === null) throw new CdcError('STACK_NOT_RUNNING', `The stack in ${folder} was stopped while it started.`);
  return state;
}

type BringUp = {
  readonly parts: StackParts;
  /** Names of servers that are up already. */
  readonly running: ReadonlySet<string>;
  readonly processes: readonly ProcessRecord[];
  readonly progress: Progress;
  readonly signal: AbortSignal;
};

/** Between the choice of a free port and its use another program may take it: then others are tried. */
async function bringUpOnFreePorts(folder: string, settings: StackSettings, how: BringUp, attempt = 1): Promise<void> {
  const brokers = 1 + settings.ports.moreKafka.length;
  const withPorts = { ...settings, ports: await freePorts(brokers, attempt === 1 ? settings.ports : undefined) };
  await writeSettings(folder, withPorts);
  try {
    await bringUp(folder, withPorts, how);
  } catch (error) {
    if (!(attempt < 3 && error instanceof CdcError && error.code === 'STACK_PORT_TAKEN')) throw error;
    how.progress('a port was taken by another program in the meantime: trying others');
    await bringUpOnFreePorts(folder, settings, how, attempt + 1);
  }
}

async function bringUp(folder: string, settings: StackSettings, how: BringUp): Promise<void> {
  const { parts, running, processes, progress, signal } = how;
  await writeStackState(folder, { ...stackState(settings, parts, brokerAddresses(settings)), processes: [...processes] });
  try {
    await composeServers(stackServers(settings, parts, { folder, progress }), running).up(signal);
  } catch (error) {
    const left = await pruned(folder);
    if (left === null || left.processes.length === 0) await removeStackState(folder);
    throw error;
  }
}

/** The state without processes that are gone: after a reboot their pids belong to nobody, or to others. */
async function pruned(folder: string): Promise<StackState | null> {
  const state = await readStackState(folder);
  if (state === null) return null;
  const alive = await Promise.all(state.processes.map(isSameProcess));
  const processes = state.processes.filter((_, index) => alive[index] === true);
  return { ...state, processes };
}

async function healthyServers({ independent, onTop }: Servers): Promise<Set<string>> {
  const healthy = await Promise.all(
    [...independent, ...onTop].map(async (server) => ((await server.healthCheck()).healthy ? [server.name] : [])),
  );
  return new Set(healthy.flat());
}

function isComplete({ independent, onTop }: Servers, running: ReadonlySet<string>): boolean {
  return [...independent, ...onTop].every((server) => running.has(server.name));
}

async function settingsFor(
  folder: string,
  kept: StackSettings | null,
  made: Pick<StackSettings, 'throwaway' | 'jvm'> & { readonly brokers: number; readonly parts: StackParts },
): Promise<StackSettings> {
  if (kept === null) {
    const foreign = (await readdir(folder)).filter((name) => name !== 'logs' && !name.startsWith('up-or-down.lock'));
    if (foreign.length > 0)
      throw new CdcError('STACK_FOLDER_INVALID', `${folder} is no stack's folder: it holds ${foreign.slice(0, 3).join(', ')}.`);
    const { brokers, throwaway, jvm } = made;
    const ports = await freePorts(brokers);
    const settings = newSettings({ ports, postgresFolder: await choosePostgresFolder(folder), throwaway, jvm });
    return await settle(folder, await withParts(settings, made.parts));
  }
  try {
    await access(kept.postgresFolder);
  } catch (error) {
    throw new CdcError('STACK_DATA_LOST', `The stack in ${folder} kept the data of Postgres in ${kept.postgresFolder}, which is gone.`, {
      cause: error,
    });
  }
  const settings = withConnectLogin(await withParts(kept, made.parts));
  return settings === kept ? kept : await settle(folder, settings);
}

/** Settings of the servers that are asked for, drawn when they are first asked for. */
async function withParts(settings: StackSettings, { mariadb, h2, registry, identityProvider }: StackParts): Promise<StackSettings> {
  const first = mariadb && settings.ports.mariadb === undefined ? withMariadb(settings, await freePort()) : settings;
  const second = h2 && first.ports.h2 === undefined ? withH2(first, await freePort()) : first;
  const third = registry && second.ports.registry === undefined ? withRegistry(second, await freePort()) : second;
  if (!identityProvider || third.ports.identityProvider !== undefined) return third;
  return withIdentityProvider(third, await freePort(), await freePort());
}

async function settle(folder: string, settings: StackSettings): Promise<StackSettings> {
  await writeSettings(folder, settings);
  return settings;
}

/** In the state folder, or, where Postgres' unprivileged user cannot enter that, in a temporary folder that goes with `reset`. */
async function choosePostgresFolder(folder: string): Promise<string> {
  const user = await postgresUser();
  if (user === undefined || (await canEnter(folder, user))) {
    const inside = join(folder, 'postgres');
    await mkdir(inside, { recursive: true });
    await chmod(inside, user === undefined ? 0o700 : 0o711);
    return inside;
  }
  const outside = await mkdtemp(join(await enterableTemporaryFolder(user), 'legacy-cdc-bridge-data-'));
  await chmod(outside, 0o711);
  return outside;
}

/** Kafka takes a comma, and Java's class path a colon, for the border between two paths. */
function refuseUnusableName(folder: string): void {
  if (/[,:]/.test(folder))
    throw new CdcError('STACK_FOLDER_INVALID', `The stack's folder ${folder} has a comma or a colon in its name, which Kafka cannot take.`);
}
