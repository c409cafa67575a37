import { escapeIdentifier, Client } from 'pg';
import { pino } from 'pino';
import { pipelineSchema, postgresClientConfig, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { queryApiRoles } from '#services/query-api/roles.ts';
import { startQueryApi, type RunningService } from '#services/index.ts';
import type { ReadDatabase } from './read-database.ts';
import { createReadModel, type ReadModelFixture, type ReadModelFixtureOptions } from './read-model.ts';
import { testStack, uniqueName } from './stack.ts';

/** Query APIs of a model, which read as a role of their own. Disposed before the read database: the role goes after it. */
export type QueryApis = AsyncDisposable & {
  readonly role: string;
  /** Configuration with `services.queryApi` over the defaults. */
  config(settings?: Readonly<Record<string, unknown>>): PipelineConfig;
  /** One more API. Disposed with the others. */
  start(settings?: Readonly<Record<string, unknown>>): Promise<RunningService>;
  /** What the APIs have logged: JSON lines. */
  log(): string;
  /** SQL as a superuser in the read database. */
  maintain(sql: string): Promise<void>;
};

/** Makes the role by the SQL that is printed. */
export async function queryApisOf(read: ReadDatabase, pipeline: PipelineConfig, model: string): Promise<QueryApis> {
  const stack = new AsyncDisposableStack();
  const { readServer } = await testStack();
  const role = uniqueName('api');
  const password = uniqueName('secret');
  const maintain = async (sql: string): Promise<void> => {
    const client = new Client(postgresClientConfig({ ...readServer, database: read.name }, readServer.superuser, 'test query-api'));
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  stack.defer(async () => {
    await maintain(`DROP OWNED BY ${escapeIdentifier(role)}`);
    await maintain(`DROP ROLE ${escapeIdentifier(role)}`);
  });
  let log = '';
  const logger = pino({ level: 'debug' }, { write: (line: string) => void (log += line) });
  const config = (settings: Readonly<Record<string, unknown>> = {}): PipelineConfig =>
    pipelineSchema.parse({
      ...pipeline,
      services: { queryApi: { model, user: role, password, auth: 'none', http: { port: 0 }, rateLimit: { requests: 0 }, ...settings } },
    });
  const sql = await queryApiRoles({ config: config(), apply: false, logger: silentLogger });
  await maintain(sql.replace('<password>', password));
  return {
    role,
    config,
    maintain,
    log: () => log,
    start: async (settings) => stack.use(await startQueryApi({ config: config(settings), logger, signal: new AbortController().signal })),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A read model of its own, and query APIs that serve it. */
export type QueryApiScene = QueryApis & { readonly model: ReadModelFixture };

export async function createQueryApiScene(options: ReadModelFixtureOptions = {}): Promise<QueryApiScene> {
  const stack = new AsyncDisposableStack();
  const model = stack.use(await createReadModel(options));
  const apis = stack.use(await queryApisOf(model.read, model.config, model.schema));
  return { ...apis, model, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** An answer with its text read. */
export type Answered = { readonly status: number; readonly headers: Headers; readonly text: string };

export async function get(
  { url }: Pick<RunningService, 'url'>,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  const response = await fetch(`${url}${path}`, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}
