import { once } from 'node:events';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readHorizons, readStatus, runPoller, type TableStatus } from '#cdc-poller/index.ts';
import type { Kafka } from '#kafka/index.ts';
import { createLogger, nodeFlags, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import type { LegacyDatabase } from './legacy-database.ts';

/** A poller inside the test's process. */
export type TestPoller = AsyncDisposable & {
  /** Rejects with what ended it; resolves when it was stopped. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
};

/** TEST_LOG=debug shows what the parts under test say. */
const testLogger = process.env['TEST_LOG'] === undefined ? silentLogger : createLogger('test', process.env['TEST_LOG']);

export function startTestPoller(config: PipelineConfig): TestPoller {
  const controller = new AbortController();
  const ended = runPoller({ config, logger: testLogger, signal: controller.signal });
  ended.catch(() => undefined);
  const stop = async (): Promise<void> => {
    controller.abort();
    await ended;
  };
  return {
    ended,
    stop,
    async [Symbol.asyncDispose]() {
      controller.abort();
      await ended.catch(() => undefined);
    },
  };
}

/** A poller as its own process: the real CLI, to be killed. */
export type PollerProcess = AsyncDisposable & {
  readonly child: ChildProcess;
  /** Standard error so far. */
  readonly log: () => string;
  kill(signal: NodeJS.Signals): Promise<number | null>;
  readonly exited: Promise<number | null>;
};

export async function spawnPoller(config: PipelineConfig): Promise<PollerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-test-poller-'));
  const file = join(folder, 'pipeline.yaml');
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  const flags = [...nodeFlags, 'cli.ts', '--config', file, 'poller', 'start'];
  const child = spawn(process.execPath, flags, { cwd: join(import.meta.dirname, '../..'), stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const exited = once(child, 'exit').then(async ([code]: (number | null)[]) => {
    await rm(folder, { recursive: true, force: true });
    return code ?? null;
  });
  const kill = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    return await exited;
  };
  return {
    child,
    log: () => text,
    kill,
    exited,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await kill('SIGTERM');
    },
  };
}

/**
 * Waits until the poller has published everything that was committed before the call: takes a transaction id and waits until every
 * table's horizon is past it. Other tests of the server hold that back while they have transactions open: hence the long limit.
 */
export async function untilPublished(kafka: Kafka, config: PipelineConfig, database: LegacyDatabase, timeoutMs = 300_000): Promise<void> {
  const [row] = await database.query('SELECT pg_current_xact_id()::text AS xid');
  await untilHorizon(kafka, config, BigInt(row?.['xid'] ?? ''), timeoutMs);
}

/** Waits until every table's horizon is past a transaction id. */
export async function untilHorizon(kafka: Kafka, config: PipelineConfig, xid: bigint, timeoutMs: number): Promise<void> {
  const tables = config.poller?.tables.map(({ table }) => table) ?? [];
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const asked = performance.now();
    const horizons = await readHorizons(kafka, config.poller?.name ?? '');
    const behind = tables.filter((table) => (horizons.get(table) ?? 0n) <= xid);
    if (behind.length === 0) return;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: horizon of ${behind.join(', ')} past ${xid}`);
    await delay(pauseAfter(asked));
  }
}

/** Waits until a table's committed position is as asked. */
export async function untilStatus(config: PipelineConfig, condition: (status: TableStatus) => boolean, timeoutMs = 60_000): Promise<void> {
  const { poller } = config;
  if (poller === undefined) throw new TypeError('no poller is configured');
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const asked = performance.now();
    const statuses = await readStatus(config.kafka, poller);
    if (statuses.every(condition)) return;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms; the status is ${JSON.stringify(statuses)}`);
    await delay(pauseAfter(asked));
  }
}

/** Each answer reads the whole topic of positions, which grows with every poll: to ask at once again would keep a core busy. */
function pauseAfter(asked: number): number {
  return Math.max(100, 2 * (performance.now() - asked));
}
