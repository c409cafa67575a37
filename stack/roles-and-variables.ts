import type { StackSettings } from './settings.ts';
import type { StackState } from './state/state.ts';

/** Every server of a stack listens there only, as a process or as a container. */
export const host = '127.0.0.1';

/** Where Apicurio speaks as Confluent's registry does; and its own API, which its converter for Connect needs. */
export const confluentApi = '/apis/ccompat/v7';
const apicurioApi = '/apis/registry/v2';

/** Which servers a stack has beside those that every stack has. */
export type StackParts = {
  readonly connect: boolean;
  readonly mariadb: boolean;
  readonly h2: boolean;
  readonly registry: boolean;
  readonly identityProvider: boolean;
};

/** The ports and passwords of a stack. */
export type StackAccess = Pick<StackSettings, 'connectPassword' | 'mariadbPasswords' | 'h2Passwords' | 'identityPasswords'> & {
  /** A stack of containers that was made before there was a service has no role for it. */
  readonly passwords: Omit<StackSettings['passwords'], 'queryApi' | 'orders'> & {
    readonly queryApi?: string | undefined;
    readonly orders?: string | undefined;
  };
  readonly ports: Pick<
    StackSettings['ports'],
    'legacy' | 'read' | 'connect' | 'mariadb' | 'h2' | 'registry' | 'identityProvider' | 'gateway'
  >;
};

/** A role as a DBA makes it for one of the programs. */
export type Role = { readonly user: string; readonly password: string; readonly attributes?: 'CREATEDB' | 'REPLICATION' };

/** A Postgres server's database with its owner, and the roles that the stack makes there. */
export type RolesAndDatabase = { readonly roles: readonly Role[]; readonly database: { readonly name: string; readonly owner: string } };

/** The roles of the programs in the legacy Postgres, each with the least rights. */
export function postgresRoles(passwords: StackAccess['passwords']): StackState['roles'] {
  return {
    owner: { user: 'legacy_owner', password: passwords.owner },
    application: { user: 'legacy_app', password: passwords.application },
    poller: { user: 'cdc_poller', password: passwords.poller },
    replicator: { user: 'cdc_replicator', password: passwords.replicator },
  };
}

/** What is made in the legacy Postgres. containers/postgres/legacy-roles.sh makes the same in a container. */
export function legacyDatabase({ owner, application, poller, replicator }: StackState['roles'], orders: Role | null): RolesAndDatabase {
  const services = orders === null ? [] : [orders];
  return {
    roles: [{ ...owner, attributes: 'CREATEDB' }, application, poller, { ...replicator, attributes: 'REPLICATION' }, ...services],
    database: { name: 'legacy', owner: owner.user },
  };
}

/** What is made in the read server. containers/postgres/read-roles.sh makes the same in a container. */
export function readDatabase(role: StackState['readModel'], queryApi: Role | null): RolesAndDatabase {
  const readers = queryApi === null ? [] : [queryApi];
  return { roles: [{ ...role, attributes: 'CREATEDB' }, ...readers], database: { name: 'read_model', owner: role.user } };
}

export function readModelRole(passwords: StackAccess['passwords']): StackState['readModel'] {
  return { user: 'read_model', password: passwords.readModel };
}

/** Its rights come from `cdc services roles --apply`, when there is a model to read. */
export function queryApiRole({ queryApi }: StackAccess['passwords']): Role | null {
  return queryApi === undefined ? null : { user: 'cdc_query_api', password: queryApi };
}

/** Its rights come from `cdc services roles --apply` too, when there are tables. */
export function orderServiceRole({ orders }: StackAccess['passwords']): Role | null {
  return orders === undefined ? null : { user: 'cdc_orders', password: orders };
}

/** The login of Connect's REST interface; null for a stack that was made without one and was not started since. */
export function connectLogin({ connectPassword }: StackAccess): { readonly username: string; readonly password: string } | null {
  return connectPassword === undefined ? null : { username: 'cdc', password: connectPassword };
}

/** The legacy MariaDB; null where it was never asked for. */
export function mariadbState({ ports, mariadbPasswords }: StackAccess): NonNullable<StackState['mariadb']> | null {
  if (ports.mariadb === undefined || mariadbPasswords === undefined) return null;
  const { superuser, owner, poller, replicator } = mariadbPasswords;
  const roles = {
    owner: { user: 'legacy_owner', password: owner },
    poller: { user: 'cdc_poller', password: poller },
    replicator: { user: 'cdc_replicator', password: replicator },
  };
  return { host, port: ports.mariadb, superuser: { user: 'root', password: superuser }, roles };
}

/** The legacy H2; null where it was never asked for. */
export function h2State({ ports, h2Passwords }: StackAccess): NonNullable<StackState['h2']> | null {
  if (ports.h2 === undefined || h2Passwords === undefined) return null;
  const { administrator, owner, poller } = h2Passwords;
  const roles = { owner: { user: 'legacy_owner', password: owner }, poller: { user: 'cdc_poller', password: poller } };
  return { host, port: ports.h2, superuser: { user: 'sa', password: administrator }, roles };
}

/** The OpenID provider; null where it was never asked for. Bob may read, Alice may also change orders and see how the services are. */
export function identityState({ ports, identityPasswords }: StackAccess): NonNullable<StackState['identityProvider']> | null {
  if (ports.identityProvider === undefined || ports.gateway === undefined || identityPasswords === undefined) return null;
  const { gateway, program, alice, bob } = identityPasswords;
  return {
    issuer: `http://${host}:${ports.identityProvider}`,
    audience: 'urn:cdc:services',
    gatewayUrl: `http://${host}:${ports.gateway}`,
    gateway: { clientId: 'gateway', secret: gateway },
    program: { clientId: 'program', secret: program },
    users: [
      { name: 'alice', password: alice, scopes: ['read', 'orders:write', 'monitoring'] },
      { name: 'bob', password: bob, scopes: ['read'] },
    ],
  };
}

/**
 * What users of a stack need to know: where its servers are, their roles, and the variables that pipeline.yaml asks for.
 *
 * @param brokers host:port of every broker, with commas
 */
export function stackState(access: StackAccess, parts: StackParts, brokers: string): StackState {
  const { ports, passwords } = access;
  const login = connectLogin(access);
  const connect = parts.connect ? { url: `http://${host}:${ports.connect}`, ...login } : null;
  const { mariadb, h2, registry, identity } = servers(access, parts);
  const roles = postgresRoles(passwords);
  const readModel = readModelRole(passwords);
  const queryApi = queryApiRole(passwords);
  const orders = orderServiceRole(passwords);
  return {
    legacyServer: { host, port: ports.legacy, superuser: { user: 'postgres', password: passwords.legacySuperuser } },
    readServer: { host, port: ports.read, superuser: { user: 'postgres', password: passwords.readSuperuser } },
    roles,
    readModel,
    kafka: { brokers },
    ...(connect === null ? {} : { connect }),
    ...(mariadb === null ? {} : { mariadb }),
    ...(h2 === null ? {} : { h2 }),
    ...(registry === null ? {} : { schemaRegistry: { url: `${registry}${confluentApi}` } }),
    ...(identity === null ? {} : { identityProvider: identity }),
    environment: {
      ...sharedVariables(access, parts, brokers),
      ...(identity === null ? {} : identityVariables(identity)),
      LEGACY_DB_OWNER_PASSWORD: roles.owner.password,
      LEGACY_DB_APP_PASSWORD: roles.application.password,
      LEGACY_DB_POLLER_PASSWORD: roles.poller.password,
      ...(connect === null
        ? {}
        : { CONNECT_URL: connect.url, CONNECT_USERNAME: login?.username ?? '', CONNECT_PASSWORD: login?.password ?? '' }),
      READ_DB_HOST: host,
      READ_DB_PORT: String(ports.read),
      READ_DB_NAME: readDatabase(readModel, queryApi).database.name,
      READ_DB_USER: readModel.user,
      READ_DB_PASSWORD: readModel.password,
      ...(queryApi === null ? {} : { QUERY_API_DB_USER: queryApi.user, QUERY_API_DB_PASSWORD: queryApi.password }),
      ...(orders === null ? {} : { ORDER_SERVICE_DB_USER: orders.user, ORDER_SERVICE_DB_PASSWORD: orders.password }),
      ...(mariadb === null ? {} : { LEGACY_MARIADB_POLLER_PASSWORD: mariadb.roles.poller.password }),
      ...(h2 === null
        ? {}
        : {
            LEGACY_H2_HOST: host,
            LEGACY_H2_PORT: String(h2.port),
            LEGACY_H2_OWNER_PASSWORD: h2.roles.owner.password,
            LEGACY_H2_POLLER_PASSWORD: h2.roles.poller.password,
          }),
    },
    processes: [],
  };
}

/** With a provider the services are guarded by it. */
function identityVariables({ issuer, audience, gatewayUrl, gateway }: NonNullable<StackState['identityProvider']>): Record<string, string> {
  return {
    OIDC_ISSUER: issuer,
    OIDC_JWKS_URL: `${issuer}/jwks`,
    OIDC_CLIENT_ID: gateway.clientId,
    OIDC_CLIENT_SECRET: gateway.secret,
    SERVICES_AUDIENCE: audience,
    GATEWAY_AUTH: 'oidc',
    GATEWAY_PORT: new URL(gatewayUrl).port,
    GATEWAY_URL: gatewayUrl,
    QUERY_API_AUTH: 'jwt',
    ORDER_SERVICE_AUTH: 'jwt',
  };
}

/** What a connector's settings may ask a Connect worker for, as `${env:NAME}`. docker-compose.yml gives its worker the same names. */
export function workerVariables(access: StackAccess, parts: StackParts, brokers: string): Readonly<Record<string, string>> {
  const { mariadb, registry } = servers(access, parts);
  return {
    ...sharedVariables(access, parts, brokers),
    LEGACY_DB_REPLICATOR_USER: postgresRoles(access.passwords).replicator.user,
    ...(mariadb === null
      ? {}
      : {
          LEGACY_MARIADB_REPLICATOR_USER: mariadb.roles.replicator.user,
          // On the loopback, where the stack's MariaDB listens alone, it has no certificate.
          LEGACY_MARIADB_SSL_MODE: 'disable',
        }),
    ...(registry === null ? {} : { APICURIO_REGISTRY_URL: `${registry}${apicurioApi}` }),
  };
}

/** What both a program and a worker need: where things are, and the replicator's passwords. */
function sharedVariables(access: StackAccess, parts: StackParts, brokers: string): Record<string, string> {
  const { mariadb, registry } = servers(access, parts);
  const roles = postgresRoles(access.passwords);
  return {
    LEGACY_DB_HOST: host,
    LEGACY_DB_PORT: String(access.ports.legacy),
    LEGACY_DB_NAME: legacyDatabase(roles, null).database.name,
    LEGACY_DB_REPLICATOR_PASSWORD: roles.replicator.password,
    KAFKA_BROKERS: brokers,
    ...(mariadb === null
      ? {}
      : {
          LEGACY_MARIADB_HOST: host,
          LEGACY_MARIADB_PORT: String(mariadb.port),
          LEGACY_MARIADB_REPLICATOR_PASSWORD: mariadb.roles.replicator.password,
        }),
    ...(registry === null ? {} : { SCHEMA_REGISTRY_URL: `${registry}${confluentApi}` }),
  };
}

/** Those that this start asks for, of those that the stack has ever had. */
function servers(
  access: StackAccess,
  parts: StackParts,
): {
  readonly mariadb: ReturnType<typeof mariadbState>;
  readonly h2: ReturnType<typeof h2State>;
  readonly registry: string | null;
  readonly identity: ReturnType<typeof identityState>;
} {
  const { registry } = access.ports;
  return {
    mariadb: parts.mariadb ? mariadbState(access) : null,
    h2: parts.h2 ? h2State(access) : null,
    registry: parts.registry && registry !== undefined ? `http://${host}:${registry}` : null,
    identity: parts.identityProvider ? identityState(access) : null,
  };
}
