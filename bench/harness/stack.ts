import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resetStack, startStack } from '#stack/index.ts';

/**
 * Runs `work` on a stack of its own, which is removed afterwards: Kafka with the full compiler, Postgres without fsync, Connect and a schema registry only when asked for. Test
 * support finds it as it finds the suite's. CDC_TEST_STACK=<folder> takes one that runs and leaves it.
 */
export async function withBenchStack<T>(
  signal: AbortSignal,
  say: (line: string) => void,
  work: () => Promise<T>,
  { connect = false, registry = false }: { readonly connect?: boolean; readonly registry?: boolean } = {},
): Promise<T> {
  if (process.env['CDC_TEST_STACK'] !== undefined) return await work();
  const folder = await mkdtemp(join(tmpdir(), 'cdc-bench-'));
  try {
    await startStack({ folder, connect, registry, throwaway: true, jvm: 'fast', signal, progress: say });
    process.env['CDC_TEST_STACK'] = folder;
    return await work();
  } finally {
    await resetStack(folder, { progress: say });
  }
}
