import * as z from 'zod';
import { CdcError } from '#pipeline/index.ts';
import type { ConnectorConfig } from '../config-file.ts';
import { withoutSecrets } from '../secrets.ts';
import { configProblems, formatProblems } from '../register/validation.ts';
import { ConnectAnswer, connectRequests, type ConnectLocation, type Method } from './request.ts';
import {
  configSchema,
  connectorsSchema,
  infoSchema,
  namesSchema,
  offsetsSchema,
  pluginsSchema,
  statusSchema,
  validationSchema,
  type ConnectInfo,
  type ConnectorOffsets,
  type ConnectorStatus,
  type ServerValidation,
} from './schemas.ts';

/**
 * Kafka Connect's REST interface, typed. Every method waits for a rebalance to end, and throws CdcError CONNECT_UNREACHABLE,
 * CONNECT_LOGIN_REFUSED, CONNECT_REQUEST_REFUSED (with Connect's words) or, where a name is given, CONNECTOR_NOT_FOUND.
 */
export type ConnectClient = {
  readonly url: string;
  info(signal?: AbortSignal): Promise<ConnectInfo>;
  /** Whether it answers whoever asks, without a login. */
  isOpen(signal?: AbortSignal): Promise<boolean>;
  connectors(signal?: AbortSignal): Promise<readonly string[]>;
  /** The settings as they were given, references unresolved; null when there is no such connector. */
  config(name: string, signal?: AbortSignal): Promise<ConnectorConfig | null>;
  /** The same of every connector. Connect reports these from memory, also while Kafka is away, which keeps {@link config} waiting. */
  configs(signal?: AbortSignal): Promise<ReadonlyMap<string, ConnectorConfig>>;
  /** Creates or replaces. @throws CdcError CONNECTOR_CONFIG_INVALID naming the fields, where Connect answers a misleading 500 */
  putConfig(name: string, config: ConnectorConfig, signal?: AbortSignal): Promise<void>;
  /** The server's own opinion on `config`, by field. */
  validate(config: ConnectorConfig, signal?: AbortSignal): Promise<ServerValidation>;
  /** Null when there is no connector of that name, or no status of it yet. */
  status(name: string, signal?: AbortSignal): Promise<ConnectorStatus | null>;
  offsets(name: string, signal?: AbortSignal): Promise<ConnectorOffsets>;
  /** Replaces positions, partition by partition. The connector must be STOPPED and without tasks. */
  alterOffsets(name: string, offsets: ConnectorOffsets, signal?: AbortSignal): Promise<void>;
  /** Forgets every position. The connector must be STOPPED and without tasks. */
  deleteOffsets(name: string, signal?: AbortSignal): Promise<void>;
  pause(name: string, signal?: AbortSignal): Promise<void>;
  resume(name: string, signal?: AbortSignal): Promise<void>;
  /** Ends the tasks and keeps configuration and offsets. */
  stop(name: string, signal?: AbortSignal): Promise<void>;
  restart(name: string, options?: { readonly onlyFailed?: boolean }, signal?: AbortSignal): Promise<void>;
  delete(name: string, signal?: AbortSignal): Promise<void>;
};

/** A client of the Connect cluster at `location`. Opens nothing until it is asked. */
export function connectClient(location: ConnectLocation): ConnectClient {
  const request = connectRequests(location);

  async function ask<T>(schema: z.ZodType<T>, method: Method, where: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    const answer = schema.safeParse(await orRefused(request(method, where, body, signal), `${method} ${where}`));
    if (answer.success) return answer.data;
    throw new CdcError(
      'CONNECT_REQUEST_REFUSED',
      `unexpected answer to ${method} ${where} from ${location.url}: ${z.prettifyError(answer.error)}`,
      { cause: answer.error },
    );
  }
  /** What every Connect has. */
  async function askRoot<T>(schema: z.ZodType<T>, where: string, signal?: AbortSignal): Promise<T> {
    const answer = await orNull(ask(schema, 'GET', where, undefined, signal));
    if (answer !== null) return answer;
    throw new CdcError(
      'CONNECT_UNREACHABLE',
      `${location.url} answers, but knows no GET ${where} (404): it is not Kafka Connect's REST address`,
    );
  }
  const command = async (name: string, method: Method, what: string, signal?: AbortSignal): Promise<void> => {
    await orRefused(request(method, path(name, what), undefined, signal), `${method} ${what}`, name);
  };
  async function orRefused(answer: Promise<unknown>, what: string, name?: string): Promise<unknown> {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof ConnectAnswer)) throw error;
      if (error.status === 404 && name !== undefined) {
        throw new CdcError('CONNECTOR_NOT_FOUND', `there is no connector ${name} at ${location.url}`, { cause: error });
      }
      throw new CdcError(
        'CONNECT_REQUEST_REFUSED',
        `Kafka Connect at ${location.url} answers ${what} with ${error.status}: ${error.message}`,
        {
          cause: error,
        },
      );
    }
  }

  const client: ConnectClient = {
    url: location.url,
    info: (signal) => askRoot(infoSchema, '/', signal),
    async isOpen(signal) {
      try {
        // Where clients show a certificate of theirs, that is their login.
        const { certFile: _cert, keyFile: _key, ...tls } = location.tls ?? { rejectUnauthorized: true };
        await connectRequests({ url: location.url, tls })('GET', '/connectors', undefined, signal);
        return true;
      } catch {
        return false;
      }
    },
    connectors: (signal) => askRoot(namesSchema, '/connectors', signal),
    config: (name, signal) => orNull(ask(configSchema, 'GET', path(name, '/config'), undefined, signal)),
    async configs(signal) {
      const all = await askRoot(connectorsSchema, '/connectors?expand=info', signal);
      return new Map(Object.entries(all).map(([name, { info }]) => [name, info.config]));
    },
    async putConfig(name, config, signal) {
      try {
        await orRefused(request('PUT', path(name, '/config'), config, signal), `PUT of connector ${name}`);
      } catch (error) {
        if (!(error instanceof CdcError) || error.code !== 'CONNECT_REQUEST_REFUSED') throw error;
        // For settings it does not take, Connect answers a NullPointerException as often as the reason.
        const problems = configProblems(config, await client.validate({ ...config, name }, signal));
        if (problems.length > 0) {
          throw new CdcError('CONNECTOR_CONFIG_INVALID', `connector ${name}:\n${formatProblems(problems)}`, { cause: error });
        }
        throw new CdcError(error.code, withoutSecrets(error.message, config), { cause: error.cause, remedy: error.remedy });
      }
    },
    async validate(config, signal) {
      const type = config['connector.class'] ?? '';
      try {
        return await ask(validationSchema, 'PUT', `/connector-plugins/${encodeURIComponent(type)}/config/validate`, config, signal);
      } catch (error) {
        // Whatever is wrong with the plugin comes as a 500 of many Java names, or as a 404.
        const plugins = await askRoot(pluginsSchema, '/connector-plugins', signal).catch(() => []);
        if (!isRefusal(error) || plugins.length === 0 || plugins.some((plugin) => isNamed(plugin.class, type))) throw error;
        const known = plugins.flatMap((plugin) => (plugin.type === 'source' ? plugin.class : []));
        throw new CdcError(
          'CONNECTOR_CONFIG_INVALID',
          `connector.class: the Connect worker at ${location.url} has no plugin ${type} (sources that it has: ${known.join(', ') || 'none'})`,
          { cause: error, remedy: 'Correct connector.class, or put the plugin into a folder of plugin.path of the worker and restart it.' },
        );
      }
    },
    status: (name, signal) => orNull(ask(statusSchema, 'GET', path(name, '/status'), undefined, signal)),
    async offsets(name, signal) {
      const answer = await orRefused(request('GET', path(name, '/offsets'), undefined, signal), 'GET offsets', name);
      return offsetsSchema.parse(answer).offsets;
    },
    async alterOffsets(name, offsets, signal) {
      await orRefused(request('PATCH', path(name, '/offsets'), { offsets }, signal), 'PATCH offsets', name);
    },
    deleteOffsets: (name, signal) => command(name, 'DELETE', '/offsets', signal),
    pause: (name, signal) => command(name, 'PUT', '/pause', signal),
    resume: (name, signal) => command(name, 'PUT', '/resume', signal),
    stop: (name, signal) => command(name, 'PUT', '/stop', signal),
    restart: (name, { onlyFailed = false } = {}, signal) =>
      command(name, 'POST', `/restart?includeTasks=true&onlyFailed=${String(onlyFailed)}`, signal),
    delete: (name, signal) => command(name, 'DELETE', '', signal),
  };
  return client;
}

function isRefusal(error: unknown): boolean {
  return error instanceof CdcError && error.code === 'CONNECT_REQUEST_REFUSED';
}

/** Connect takes a class by its full name, by its last part, and by that without `Connector`. */
function isNamed(full: string, name: string): boolean {
  const last = full.split('.').at(-1) ?? '';
  return [full, last, last.replace(/Connector$/, '')].includes(name);
}

function path(name: string, rest = ''): string {
  return `/connectors/${encodeURIComponent(name)}${rest}`;
}

async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof CdcError && error.cause instanceof ConnectAnswer && error.cause.status === 404) return null;
    throw error;
  }
}
