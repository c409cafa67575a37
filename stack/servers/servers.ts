import { join } from 'node:path';
import { connectServer } from './connect.ts';
import { h2Server } from './h2.ts';
import { resolveJars, type JarSet } from './java/jars.ts';
import { requireJava } from './java/java.ts';
import { identityProviderServer } from './identity-provider.ts';
import { kafkaServer } from './kafka.ts';
import { mariadbServer } from './mariadb.ts';
import { ensureMariadbRoles } from './mariadb-roles.ts';
import { ensureRoles } from './postgres-roles.ts';
import { postgresServer } from './postgres.ts';
import { registryServer } from './registry.ts';
import { serverProcess, type ServerSpec, type StackRuntime } from '../processes/server-process.ts';
import type { StackSettings } from '../settings.ts';
import { leaveAlone, parallel, sequence, type Resource } from '../resource.ts';
import {
  connectLogin,
  h2State,
  identityState,
  host,
  legacyDatabase,
  mariadbState,
  postgresRoles,
  orderServiceRole,
  queryApiRole,
  readDatabase,
  readModelRole,
  workerVariables,
  type StackParts,
} from '../roles-and-variables.ts';

/** Connect's plugins. Whoever has no MariaDB, or no registry, need not fetch what goes with it. */
export function connectPlugins({ mariadb, registry }: StackParts): readonly JarSet[] {
  return ['debezium-postgres', ...(mariadb ? (['debezium-mariadb'] as const) : []), ...(registry ? (['apicurio-converter'] as const) : [])];
}

/** The servers of a stack, each as a resource, in the order in which they are shown. */
export function stackServers(settings: StackSettings, parts: StackParts, runtime: StackRuntime): Servers {
  const server = (spec: ServerSpec): Resource => serverProcess(spec, runtime);
  const storage = [
    legacyPostgres(settings),
    readPostgres(settings),
    ...(parts.mariadb ? legacyMariadb(settings, runtime) : []),
    ...(parts.h2 ? legacyH2(settings, runtime) : []),
  ].map(server);
  const registry = (parts.registry ? schemaRegistry(settings, runtime) : []).map(server);
  const identity = (parts.identityProvider ? identityProvider(settings, runtime) : []).map(server);
  const kafka = kafkaNodes(settings, runtime).map(server);
  const connect = parts.connect ? [server(connectWorker(settings, parts, runtime))] : [];
  return { independent: [...storage, ...kafka, ...registry, ...identity], onTop: connect };
}

/** Servers that need no other, and those that need all of them. */
export type Servers = { readonly independent: readonly Resource[]; readonly onTop: readonly Resource[] };

/** The whole as one resource. What is in `running` before is neither started nor, when this start fails, stopped. */
export function composeServers(servers: Servers, running: ReadonlySet<string> = new Set()): Resource {
  const kept = (resource: Resource): Resource => (running.has(resource.name) ? leaveAlone(resource) : resource);
  return sequence('stack', [parallel('servers', servers.independent.map(kept)), ...servers.onTop.map(kept)]);
}

/** host:port of every broker, with commas. */
export function brokerAddresses({ ports }: StackSettings): string {
  return [ports, ...ports.moreKafka].map(({ kafka }) => `${host}:${kafka}`).join(',');
}

function kafkaNodes({ ports, kafkaClusterId, jvm }: StackSettings, { folder, progress }: StackRuntime): ServerSpec[] {
  const nodes = [ports, ...ports.moreKafka];
  return nodes.map(({ kafka, controller }, index) => {
    const name = index === 0 ? 'kafka' : `kafka-${index + 1}`;
    return kafkaServer({
      name,
      port: kafka,
      controllerPort: controller,
      nodeId: index + 1,
      controllerPorts: nodes.map((node) => node.controller),
      folder: join(folder, name),
      clusterId: kafkaClusterId,
      jvm,
      runtime: async (signal) => ({ java: await requireJava(), jars: await resolveJars('kafka', { signal, progress }) }),
    });
  });
}

function legacyPostgres({ ports, postgresFolder, passwords, throwaway }: StackSettings): ServerSpec {
  return postgresServer({
    name: 'postgres-legacy',
    port: ports.legacy,
    dataFolder: join(postgresFolder, 'legacy'),
    password: passwords.legacySuperuser,
    throwaway,
    settings: {
      wal_level: 'logical',
      track_commit_timestamp: 'on',
      max_prepared_transactions: '10',
      max_wal_senders: '30',
      max_replication_slots: '30',
    },
    configure: (superuser) => ensureRoles(superuser, legacyDatabase(postgresRoles(passwords), orderServiceRole(passwords))),
  });
}

function readPostgres({ ports, postgresFolder, passwords, throwaway }: StackSettings): ServerSpec {
  return postgresServer({
    name: 'postgres-read',
    port: ports.read,
    dataFolder: join(postgresFolder, 'read'),
    password: passwords.readSuperuser,
    throwaway,
    settings: {},
    configure: (superuser) => ensureRoles(superuser, readDatabase(readModelRole(passwords), queryApiRole(passwords))),
  });
}

/** None where it has never been asked for. */
function legacyMariadb(settings: StackSettings, { folder, progress }: StackRuntime): ServerSpec[] {
  const state = mariadbState(settings);
  if (state === null) return [];
  const { port, superuser, roles } = state;
  return [
    mariadbServer({
      name: 'mariadb-legacy',
      port,
      dataFolder: join(folder, 'mariadb'),
      password: superuser.password,
      throwaway: settings.throwaway,
      files: (signal) => resolveJars('mariadb', { signal, progress }),
      configure: (connection) => ensureMariadbRoles(connection, roles, 'legacy'),
    }),
  ];
}

/** None where it has never been asked for. */
function legacyH2(settings: StackSettings, { folder, progress }: StackRuntime): ServerSpec[] {
  const state = h2State(settings);
  if (state === null) return [];
  const { port, superuser, roles } = state;
  return [
    h2Server({
      name: 'h2-legacy',
      port,
      dataFolder: join(folder, 'h2'),
      password: superuser.password,
      roles,
      throwaway: settings.throwaway,
      runtime: async (signal) => ({ java: await requireJava(), jars: await resolveJars('h2', { signal, progress }) }),
    }),
  ];
}

/** None where it has never been asked for. */
function schemaRegistry({ ports }: StackSettings, { folder, progress }: StackRuntime): ServerSpec[] {
  if (ports.registry === undefined) return [];
  return [
    registryServer({
      name: 'schema-registry',
      port: ports.registry,
      dataFolder: join(folder, 'registry'),
      runtime: async (signal) => ({ java: await requireJava(), files: await resolveJars('apicurio-registry', { signal, progress }) }),
    }),
  ];
}

/** None where it has never been asked for. */
function identityProvider(settings: StackSettings, { folder }: StackRuntime): ServerSpec[] {
  const state = identityState(settings);
  if (state === null || settings.ports.identityProvider === undefined) return [];
  const { issuer, audience, gatewayUrl, gateway, program, users } = state;
  const origins = [gatewayUrl, gatewayUrl.replace(`//${host}`, '//localhost')];
  return [
    identityProviderServer({
      name: 'identity-provider',
      issuer,
      dataFolder: join(folder, 'identity-provider'),
      settings: { port: settings.ports.identityProvider, audience, gateway: { ...gateway, origins }, program, users },
    }),
  ];
}

function connectWorker(settings: StackSettings, parts: StackParts, { folder, progress }: StackRuntime): ServerSpec {
  const login = connectLogin(settings) ?? undefined;
  const brokers = brokerAddresses(settings);
  return connectServer({
    login,
    name: 'connect',
    port: settings.ports.connect,
    brokers,
    folder: join(folder, 'connect'),
    environment: workerVariables(settings, parts, brokers),
    runtime: async (signal) => {
      const folders = connectPlugins(parts).map(async (name) => [name, await resolveJars(name, { signal, progress })] as const);
      return {
        java: await requireJava(),
        jars: await resolveJars('kafka', { signal, progress }),
        basicAuth: login === undefined ? undefined : await resolveJars('connect-basic-auth', { signal, progress }),
        plugins: Object.fromEntries(await Promise.all(folders)),
      };
    },
  });
}
