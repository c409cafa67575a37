import { escapeIdentifier } from 'pg';
import { pino } from 'pino';
import { pipelineSchema, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { startOrderService, type RunningService } from '#services/index.ts';
import { orderServiceRoles } from '#services/orders/roles.ts';
import { createLegacyDatabase, type LegacyDatabase } from './legacy-database.ts';
import type { Answered } from './query-api.ts';
import { uniqueName } from './stack.ts';

/** What the services' role needs of a legacy database, wherever it is. */
export type LegacySource = {
  readonly config: PipelineConfig['legacyDb'];
  /** SQL as a superuser. */
  readonly maintain: (sql: string) => Promise<unknown>;
};

/** Order services of one legacy database, with a role of their own. Disposed before the database: the role goes after it. */
export type OrderServices = AsyncDisposable & {
  readonly role: string;
  config(settings?: Readonly<Record<string, unknown>>): PipelineConfig;
  /** One more service. Disposed with the others. */
  start(settings?: Readonly<Record<string, unknown>>): Promise<RunningService>;
  /** What the services have logged: JSON lines. */
  log(): string;
};

/** Makes the role by the SQL that is printed, and its grants by `--apply`. */
export async function orderServicesOf({ config: legacyDb, maintain }: LegacySource): Promise<OrderServices> {
  const stack = new AsyncDisposableStack();
  const role = uniqueName('orders');
  const password = uniqueName('secret');
  let log = '';
  const logger = pino({ level: 'debug' }, { write: (line: string) => void (log += line) });
  const config = (settings: Readonly<Record<string, unknown>> = {}): PipelineConfig =>
    pipelineSchema.parse({
      legacyDb,
      kafka: { brokers: 'nobody:1' },
      services: { orders: { user: role, password, auth: 'none', http: { port: 0 }, rateLimit: { requests: 0 }, ...settings } },
    });
  const printed = await orderServiceRoles({ config: config(), apply: false, logger: silentLogger });
  await maintain((printed.split('\n', 1)[0] ?? '').replace('<password>', password));
  stack.defer(async () => {
    await maintain(`DROP OWNED BY ${escapeIdentifier(role)}`);
    await maintain(`DROP ROLE ${escapeIdentifier(role)}`);
  });
  await orderServiceRoles({ config: config(), apply: true, logger: silentLogger });
  return {
    role,
    config,
    log: () => log,
    start: async (settings) =>
      stack.use(await startOrderService({ config: config(settings), logger, signal: new AbortController().signal })),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export type OrderScene = OrderServices & { readonly legacy: LegacyDatabase };

/** A legacy database of its own, with two customers and two products of ids that no double has. */
export async function createOrderScene(): Promise<OrderScene> {
  const stack = new AsyncDisposableStack();
  const legacy = stack.use(await createLegacyDatabase());
  await legacy.query(
    `INSERT INTO customers (id, email, name) VALUES (1, 'a@example.test', 'a'), (9007199254740993, 'b@example.test', 'b')`,
  );
  await legacy.query(
    `INSERT INTO products (id, sku, name, price) VALUES (1, 's1', 'one', 19.90), (9007199254740995, 's2', 'two', 9999999999.99)`,
  );
  const services = stack.use(await orderServicesOf({ config: legacy.config, maintain: (sql) => legacy.queryAs(legacy.superuser, sql) }));
  return { ...services, legacy, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

export type Sent = {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};

/** Sends a command. A body that is a text goes as it is. */
export async function send(
  { url }: Pick<RunningService, 'url'>,
  method: string,
  path: string,
  { body, headers = {} }: Sent = {},
): Promise<Answered & { readonly json: Readonly<Record<string, unknown>> }> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': type }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const json: unknown = text.startsWith('{') ? JSON.parse(text) : {};
  return { status: response.status, headers: response.headers, text, json: isRecord(json) ? json : {} };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
