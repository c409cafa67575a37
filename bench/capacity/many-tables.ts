/** Many small tables and the processes that poll them: what both benchmarks of capacity share. */
import { once } from 'node:events';
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import * as z from 'zod';
import { nodeFlags } from '#pipeline/index.ts';
import type { LegacyDatabase } from '#test/support/legacy-database.ts';
import { testStack } from '#test/support/stack.ts';

/** BENCH_NODE_FLAGS adds flags (`--cpu-prof --cpu-prof-dir=…`). */
const flags = (process.env['BENCH_NODE_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');
const statusOf = z.object({ tables: z.array(z.object({ table: z.string(), phase: z.string() })) });

/** Tables t_<from> to t_<to - 1>, of ten rows each, that the poller's role may read. */
export async function makeTables({ query }: LegacyDatabase, from: number, to: number): Promise<void> {
  const statements: string[] = [];
  for (let index = from; index < to; index += 1) {
    const table = `t_${String(index).padStart(5, '0')}`;
    statements.push(
      `CREATE TABLE ${table} (id bigint PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
      `CREATE INDEX ON ${table} (updated_at, id)`,
      `GRANT SELECT ON ${table} TO cdc_poller`,
      `INSERT INTO ${table} SELECT n, 'row ' || n FROM generate_series(1, 10) AS n`,
    );
  }
  await query(statements.join(';\n'));
}

/** A `cdc poller start` that runs; disposing it ends it in order. */
export type Poller = AsyncDisposable & { readonly child: ChildProcess; readonly port: number; readonly log: () => string };

/** @param file its pipeline.yaml
 * @param port that of its poller.http */
export function startPoller(file: string, port: number): Poller {
  const child = spawn(process.execPath, [...nodeFlags, ...flags, 'cli.ts', '--config', file, 'poller', 'start'], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, LOG_LEVEL: 'warn' },
  });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-4000);
  });
  return {
    child,
    port,
    log: () => text,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

/** How many tables a process has read to their end at least once; 0 while it does not answer. */
export async function polledTables(port: number): Promise<number> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/status`, { signal: AbortSignal.timeout(10_000) });
    return statusOf.parse(await answer.json()).tables.filter(({ phase }) => phase === 'polling').length;
  } catch {
    return 0;
  }
}

/** The first process of each of the stack's servers, in this order. */
export async function serverPids(names: readonly string[]): Promise<readonly { readonly name: string; readonly pid: number }[]> {
  const { processes: running } = await testStack();
  return names.flatMap((wanted) => {
    const found = running.find(({ name }) => name === wanted);
    return found === undefined ? [] : [{ name: wanted, pid: found.pid }];
  });
}
