import { resolve } from 'node:path';
import { containerStates } from './containers/container-stack.ts';
import { isSameProcess } from './processes/process-identity.ts';
import { noProgress } from './progress.ts';
import { stackServers } from './servers/servers.ts';
import { readSettings } from './settings.ts';
import { readStackState, type StackState } from './state/state.ts';

/** One process of the stack. `up`: it runs and answers; `starting`: it runs and does not answer (yet); `down`: it does not run. */
export type ProcessStatus = {
  readonly name: string;
  readonly status: 'up' | 'starting' | 'down';
  /** Null for a program that does not listen. */
  readonly address: string | null;
  readonly pid: number | null;
  readonly log: string | null;
  /** What is wrong, when it is not up. */
  readonly detail: string | null;
};

export type StackStatus = {
  readonly folder: string;
  /** `partly`: something that should be up is not. */
  readonly status: 'up' | 'partly' | 'down';
  readonly processes: readonly ProcessStatus[];
};

/** Looks at every process of the stack in `folder` and asks each server whether it serves. Tells no secret. */
export async function stackStatus(folder: string): Promise<StackStatus> {
  const root = resolve(folder);
  const [state, settings] = await Promise.all([readStackState(root), readSettings(root)]);
  if (state?.containers !== undefined) return withMains(root, state, await containerStatuses(root, state));
  if (state === null || settings === null) return { folder: root, status: 'down', processes: [] };
  const parts = {
    connect: state.connect !== undefined,
    mariadb: state.mariadb !== undefined,
    h2: state.h2 !== undefined,
    registry: state.schemaRegistry !== undefined,
    identityProvider: state.identityProvider !== undefined,
  };
  const { independent, onTop } = stackServers(settings, parts, { folder: root, progress: noProgress });
  const servers = [...independent, ...onTop].map(async (server): Promise<ProcessStatus> => {
    const record = state.processes.find(({ name }) => name === server.name);
    if (record === undefined || !(await isSameProcess(record))) {
      return {
        name: server.name,
        status: 'down',
        address: record?.address ?? null,
        pid: null,
        log: record?.log ?? null,
        detail: 'not running',
      };
    }
    const { healthy, detail = null } = await server.healthCheck();
    const { pid, log, address = null } = record;
    return { name: server.name, status: healthy ? 'up' : 'starting', address, pid, log, detail: healthy ? null : detail };
  });
  return withMains(root, state, await Promise.all(servers));
}

async function containerStatuses(folder: string, state: StackState): Promise<ProcessStatus[]> {
  const seen = await containerStates(folder);
  const addresses = {
    'legacy-db': `${state.legacyServer.host}:${state.legacyServer.port}`,
    'read-db': `${state.readServer.host}:${state.readServer.port}`,
    kafka: state.kafka.brokers,
    ...(state.connect === undefined ? {} : { connect: state.connect.url }),
    ...(state.schemaRegistry === undefined ? {} : { 'schema-registry': state.schemaRegistry.url }),
  };
  return Object.entries(addresses).map(([name, address]) => {
    const is = seen.get(name) ?? 'not running';
    const status = is === 'healthy' ? 'up' : is === 'starting' || is === 'running' ? 'starting' : 'down';
    return { name, status, address, pid: null, log: null, detail: status === 'up' ? null : is };
  });
}

/** Our own programs beside the servers, and the verdict on all. */
async function withMains(root: string, state: StackState, servers: readonly ProcessStatus[]): Promise<StackStatus> {
  const mains = state.processes
    .filter(({ kind }) => kind === 'main')
    .map(async (record): Promise<ProcessStatus> => {
      const runs = await isSameProcess(record);
      const { name, address = null, log } = record;
      return { name, status: runs ? 'up' : 'down', address, pid: runs ? record.pid : null, log, detail: runs ? null : 'has ended' };
    });
  const processes = [...servers, ...(await Promise.all(mains))];
  const up = processes.filter(({ status }) => status === 'up').length;
  const none = processes.every(({ status }) => status === 'down');
  return { folder: root, status: up === processes.length ? 'up' : none ? 'down' : 'partly', processes };
}
