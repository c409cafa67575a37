import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool, Client, escapeIdentifier, escapeLiteral, type ClientConfig } from 'pg';
import { postgresClientConfig, type ReadModelConfig } from '#pipeline/index.ts';
import { testStack, uniqueName } from './stack.ts';
import { rawText } from './raw-text.ts';

/** Rows as Postgres prints them: text or null. */
export type ReadRow = Record<string, string | null>;

export type ReadDatabase = AsyncDisposable & {
  readonly name: string;
  /** As in pipeline.yaml, without models: `{ ...read.config, models: { … } }`. */
  readonly config: Omit<ReadModelConfig, 'models'>;
  /** A `pg` configuration of the role that owns the database. */
  readonly owner: ClientConfig;
  readonly pool: Pool;
  /** Runs SQL as the owner; values come as text. */
  readonly query: (sql: string, values?: readonly unknown[]) => Promise<ReadRow[]>;
  /** Cuts every connection and refuses new ones, this fixture's own too, until what it gives is called. */
  readonly refuseConnections: () => Promise<() => Promise<void>>;
};

/** Whatever a test sets for the role or the database: the fixture's own statements mean what they say. */
const ownSession = String.raw`-c search_path=public -c statement_timeout=0 -c idle_session_timeout=0 -c default_transaction_read_only=off -c default_transaction_isolation=read\ committed`;

/** A database of its own in the shared stack's read server, owned by the read-model role. Disposing it drops it. */
export async function createReadDatabase(): Promise<ReadDatabase> {
  const stack = await testStack();
  const { host, port, superuser } = stack.readServer;
  const name = uniqueName('read');
  const maintain = async (sql: string): Promise<void> => {
    const client = new Client(postgresClientConfig({ host, port, database: 'postgres' }, superuser, 'test read-database'));
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  await maintain(`CREATE DATABASE ${escapeIdentifier(name)} OWNER ${escapeIdentifier(stack.readModel.user)}`);
  const config = { host, port, database: name, ...stack.readModel };
  const owner = postgresClientConfig(config, stack.readModel, 'test read-database');
  const pool = new Pool({ ...owner, max: 4, options: ownSession });
  pool.on('error', () => undefined);
  return {
    name,
    config,
    owner,
    pool,
    refuseConnections: async () => {
      await maintain(`ALTER DATABASE ${escapeIdentifier(name)} CONNECTION LIMIT 0`);
      await maintain(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${escapeLiteral(name)}`);
      return () => maintain(`ALTER DATABASE ${escapeIdentifier(name)} CONNECTION LIMIT -1`);
    },
    query: async (sql, values = []) => (await pool.query<ReadRow>({ text: sql, values: [...values], types: rawText })).rows,
    async [Symbol.asyncDispose]() {
      await pool.end();
      await maintain(`DROP DATABASE ${escapeIdentifier(name)} WITH (FORCE)`);
    },
  };
}

/** Asks until the answer satisfies `holds`; fails with the last answer after `timeoutMs`. */
export async function eventually<T>(ask: () => Promise<T>, holds: (answer: T) => boolean, timeoutMs = 60_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    if (Date.now() > deadline) assert.fail(`not within ${timeoutMs} ms; last: ${JSON.stringify(answer, digits)?.slice(0, 2000)}`);
    await delay(50);
  }
}

function digits(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
