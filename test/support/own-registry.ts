import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import { pipelineSchema, type SchemaRegistryConfig } from '#pipeline/index.ts';
import { resolveJars, waitFor } from '#stack/index.ts';
import { requireJava } from '#stack/servers/java/java.ts';
import { confluentApi } from '#stack/roles-and-variables.ts';
import { registryServer } from '#stack/servers/registry.ts';

/** A schema registry of a test's own, because it is killed; started again it has its address and its ids again. */
export type OwnRegistry = AsyncDisposable & {
  readonly config: SchemaRegistryConfig;
  /** Resolves when it answers. */
  start(): Promise<void>;
  /** kill -9 */
  kill(): Promise<void>;
};

/** Makes one that runs; a start takes three seconds and more. */
export async function startOwnRegistry(more: Readonly<Record<string, unknown>> = {}): Promise<OwnRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-own-registry-'));
  const port = await getPort({ host: '127.0.0.1' });
  const server = registryServer({
    name: 'own-registry',
    port,
    dataFolder: folder,
    runtime: async (signal) => ({
      java: await requireJava(),
      files: await resolveJars('apicurio-registry', { signal, progress: () => undefined }),
    }),
  });
  let running: ChildProcess | undefined;
  const kill = async (): Promise<void> => {
    const child = running;
    running = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  const start = async (): Promise<void> => {
    const signal = AbortSignal.timeout(server.startLimitMs);
    const { command, args, cwd, env } = await server.launch(signal);
    running = spawn(command, [...args], { cwd, env: { ...env }, stdio: 'ignore' });
    await waitFor(() => server.ready(signal), { signal, timeoutMs: server.startLimitMs, describe: 'the own registry answers' });
  };
  const dispose = async (): Promise<void> => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    config: pipelineSchema.shape.schemaRegistry.unwrap().parse({ url: `http://127.0.0.1:${port}${confluentApi}`, ...more }),
    start,
    kill,
    [Symbol.asyncDispose]: dispose,
  };
}
