import { join } from 'node:path';
import { connectServer } from './connect.ts';
import { h2Server } from './h2.ts';
import { resolveJars, type JarSet } from './jars.ts';
import { requireJava } from './java.ts';
import { kafkaServer } from './kafka.ts';
import { mariadbServer } from './mariadb.ts';
import { ensureMariadbRoles } from './mariadb-roles.ts';
import { ensureRoles } from './postgres-roles.ts';
import { postgresServer } from './postgres.ts';
import { apicurioApi, confluentApi, registryServer } from './registry.ts';
import { serverProcess, type ServerSpec, type StackRuntime } from '../processes/server-process.ts';
import type { StackSettings } from '../settings.ts';
import { leaveAlone, parallel, sequence, type Resource } from '../resource.ts';
import type { StackState } from '../state/state.ts';

const host = '127.0.0.1';

/** Connect's plugins. Whoever has no MariaDB, or no registry, need not fetch what goes with it. */
export function connectPlugins({ mariadb, registry }: StackParts): readonly JarSet[] {
  return ['debezium-postgres', ...(mariadb ? (['debezium-mariadb'] as const) : []), ...(registry ? (['apicurio-converter'] as const) : [])];
}

/** Which servers a stack has beside those that every stack has. */
export type StackParts = { readonly connect: boolean; readonly mariadb: boolean; readonly h2: boolean; readonly registry: boolean };

/** What a stack with these settings tells its users; no process runs yet. */
export function stackState(settings: StackSettings, parts: StackParts): StackState {
  const { ports, passwords } = settings;
  const connect = { url: `http://${host}:${ports.connect}`, ...connectLogin(settings) };
  const brokers = brokerAddresses(settings);
  const mariadb = parts.mariadb ? mariadbState(settings) : null;
  const h2 = parts.h2 ? h2State(settings) : null;
  const registry = parts.registry ? registryState(settings) : null;
  return {
    legacyServer: { host, port: ports.legacy, superuser: { user: 'postgres', password: passwords.legacySuperuser } },
    readServer: { host, port: ports.read, superuser: { user: 'postgres', password: passwords.readSuperuser } },
    roles: {
      owner: { user: 'legacy_owner', password: passwords.owner },
      application: { user: 'legacy_app', password: passwords.application },
      poller: { user: 'cdc_poller', password: passwords.poller },
      replicator: { user: 'cdc_replicator', password: passwords.replicator },
    },
    readModel: { user: 'read_model', password: passwords.readModel },
    kafka: { brokers },
    ...(parts.connect ? { connect } : {}),
    ...(mariadb === null ? {} : { mariadb }),
    ...(h2 === null ? {} : { h2 }),
    ...(registry === null ? {} : { schemaRegistry: registry }),
    environment: {
      LEGACY_DB_HOST: host,
      LEGACY_DB_PORT: String(ports.legacy),
      LEGACY_DB_NAME: 'legacy',
      LEGACY_DB_OWNER_PASSWORD: passwords.owner,
      LEGACY_DB_APP_PASSWORD: passwords.application,
      LEGACY_DB_POLLER_PASSWORD: passwords.poller,
      LEGACY_DB_REPLICATOR_PASSWORD: passwords.replicator,
      KAFKA_BROKERS: brokers,
      ...(parts.connect
        ? { CONNECT_URL: connect.url, CONNECT_USERNAME: connect.username ?? '', CONNECT_PASSWORD: connect.password ?? '' }
        : {}),
      READ_DB_HOST: host,
      READ_DB_PORT: String(ports.read),
      READ_DB_NAME: 'read_model',
      READ_DB_USER: 'read_model',
      READ_DB_PASSWORD: passwords.readModel,
      QUERY_API_DB_USER: 'cdc_query_api',
      QUERY_API_DB_PASSWORD: passwords.queryApi,
      ...(mariadb === null
        ? {}
        : {
            LEGACY_MARIADB_HOST: host,
            LEGACY_MARIADB_PORT: String(mariadb.port),
            LEGACY_MARIADB_POLLER_PASSWORD: mariadb.roles.poller.password,
            LEGACY_MARIADB_REPLICATOR_PASSWORD: mariadb.roles.replicator.password,
          }),
      ...(h2 === null
        ? {}
        : {
            LEGACY_H2_HOST: host,
            LEGACY_H2_PORT: String(h2.port),
            LEGACY_H2_OWNER_PASSWORD: h2.roles.owner.password,
            LEGACY_H2_POLLER_PASSWORD: h2.roles.poller.password,
          }),
      ...(registry === null ? {} : { SCHEMA_REGISTRY_URL: registry.url }),
    },
    processes: [],
  };
}

function connectLogin({ connectPassword }: StackSettings): { readonly username?: string; readonly password?: string } {
  return connectPassword === undefined ? {} : { username: 'cdc', password: connectPassword };
}

function mariadbState({ ports, mariadbPasswords }: StackSettings): NonNullable<StackState['mariadb']> | null {
  if (ports.mariadb === undefined || mariadbPasswords === undefined) return null;
  const { superuser, owner, poller, replicator } = mariadbPasswords;
  return {
    host,
    port: ports.mariadb,
    superuser: { user: 'root', password: superuser },
    roles: {
      owner: { user: 'legacy_owner', password: owner },
      poller: { user: 'cdc_poller', password: poller },
      replicator: { user: 'cdc_replicator', password: replicator },
    },
  };
}

function h2State({ ports, h2Passwords }: StackSettings): NonNullable<StackState['h2']> | null {
  if (ports.h2 === undefined || h2Passwords === undefined) return null;
  const { administrator, owner, poller } = h2Passwords;
  return {
    host,
    port: ports.h2,
    superuser: { user: 'sa', password: administrator },
    roles: { owner: { user: 'legacy_owner', password: owner }, poller: { user: 'cdc_poller', password: poller } },
  };
}

function registryState({ ports }: StackSettings): NonNullable<StackState['schemaRegistry']> | null {
  return ports.registry === undefined ? null : { url: `http://${host}:${ports.registry}${confluentApi}` };
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
  const kafka = kafkaNodes(settings, runtime).map(server);
  const connect = parts.connect ? [server(connectWorker(settings, parts, runtime))] : [];
  return { independent: [...storage, ...kafka, ...registry], onTop: connect };
}

/** Servers that need no other, and those that need all of them. */
export type Servers = { readonly independent: readonly Resource[]; readonly onTop: readonly Resource[] };

/** The whole as one resource. What is in `running` before is neither started nor, when this start fails, stopped. */
export function composeServers(servers: Servers, running: ReadonlySet<string> = new Set()): Resource {
  const kept = (resource: Resource): Resource => (running.has(resource.name) ? leaveAlone(resource) : resource);
  return sequence('stack', [parallel('servers', servers.independent.map(kept)), ...servers.onTop.map(kept)]);
}

/** host:port of every broker, with commas. */
function brokerAddresses({ ports }: StackSettings): string {
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
    configure: (superuser) =>
      ensureRoles(
        superuser,
        [
          { user: 'legacy_owner', password: passwords.owner, attributes: 'CREATEDB' },
          { user: 'legacy_app', password: passwords.application },
          { user: 'cdc_poller', password: passwords.poller },
          { user: 'cdc_replicator', password: passwords.replicator, attributes: 'REPLICATION' },
        ],
        { name: 'legacy', owner: 'legacy_owner' },
      ),
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
    configure: (superuser) =>
      ensureRoles(
        superuser,
        [
          { user: 'read_model', password: passwords.readModel, attributes: 'CREATEDB' },
          // Its rights come from cdc services roles --apply, when there is a model to read.
          { user: 'cdc_query_api', password: passwords.queryApi },
        ],
        { name: 'read_model', owner: 'read_model' },
      ),
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

function connectWorker(settings: StackSettings, parts: StackParts, { folder, progress }: StackRuntime): ServerSpec {
  const { ports, passwords } = settings;
  const mariadb = parts.mariadb ? mariadbState(settings) : null;
  const registry = parts.registry ? registryState(settings) : null;
  const { username, password } = connectLogin(settings);
  const login = username === undefined || password === undefined ? undefined : { username, password };
  return connectServer({
    login,
    name: 'connect',
    port: ports.connect,
    brokers: brokerAddresses(settings),
    folder: join(folder, 'connect'),
    environment: {
      LEGACY_DB_HOST: host,
      LEGACY_DB_PORT: String(ports.legacy),
      LEGACY_DB_NAME: 'legacy',
      LEGACY_DB_REPLICATOR_USER: 'cdc_replicator',
      LEGACY_DB_REPLICATOR_PASSWORD: passwords.replicator,
      KAFKA_BROKERS: brokerAddresses(settings),
      ...(mariadb === null
        ? {}
        : {
            LEGACY_MARIADB_HOST: host,
            LEGACY_MARIADB_PORT: String(mariadb.port),
            LEGACY_MARIADB_REPLICATOR_USER: mariadb.roles.replicator.user,
            LEGACY_MARIADB_REPLICATOR_PASSWORD: mariadb.roles.replicator.password,
            // On the loopback, where the stack's MariaDB listens alone, it has no certificate.
            LEGACY_MARIADB_SSL_MODE: 'disable',
          }),
      ...(registry === null
        ? {}
        : { SCHEMA_REGISTRY_URL: registry.url, APICURIO_REGISTRY_URL: registry.url.replace(confluentApi, apicurioApi) }),
    },
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
