import { setTimeout as delay } from 'node:timers/promises';
import { describeError } from '#pipeline/index.ts';
import type { ConnectorConfig, ConnectorFile } from '#connectors/config-file.ts';
import type { ConnectClient } from '#connectors/rest/client.ts';
import type { ConnectorOffsets } from '#connectors/rest/schemas.ts';
import { summarizeStatus, type StatusSummary } from '#connectors/state/status.ts';
import { configProblems } from '#connectors/register/validation.ts';

/** What Kafka Connect knows of one connector file. `running` null: no connector of that name. */
export type ConnectorFacts = {
  readonly name: string;
  readonly running: ConnectorConfig | null;
  readonly status: StatusSummary | null;
  /** Null: Connect did not report it, and `offsetsProblem` says why. It reads it from Kafka, and everything else from memory. */
  readonly offsets: ConnectorOffsets | null;
  readonly offsetsProblem?: string;
  /** Why the server would not take the file's settings. */
  readonly problems: readonly string[];
};

/** A connector about which Connect would not answer. */
export type Unreadable = { readonly name: string; readonly detail: string };

export type ConnectFacts =
  | { readonly state: 'unreachable'; readonly url: string; readonly detail: string }
  | {
      readonly state: 'reachable';
      /** Its address, when it answers whoever asks. */
      readonly openAt?: string;
      readonly connectors: readonly ConnectorFacts[];
      readonly unreadable: readonly Unreadable[];
    };

const limitMs = 25_000;
const offsetsLimitMs = 10_000;

/** Asks; creates nothing (validating makes the worker look at the source, as the connector would). */
export async function readConnect(client: ConnectClient, files: readonly ConnectorFile[], signal: AbortSignal): Promise<ConnectFacts> {
  const limit = AbortSignal.timeout(limitMs);
  const either = AbortSignal.any([signal, limit]);
  const describe = (error: unknown): string => {
    signal.throwIfAborted();
    return limit.aborted ? `no answer within ${limitMs / 1000} s` : oneLine(error);
  };
  try {
    await twice(() => client.info(either), either);
  } catch (error) {
    return { state: 'unreachable', url: client.url, detail: describe(error) };
  }
  const answers = await Promise.all(
    files.map(async (file) => {
      try {
        return await twice(() => readConnector(client, file, either), either);
      } catch (error) {
        return { name: file.name, detail: describe(error) };
      }
    }),
  );
  return {
    state: 'reachable',
    ...((await client.isOpen(either)) ? { openAt: client.url } : {}),
    connectors: answers.filter((answer) => 'offsets' in answer),
    unreadable: answers.filter((answer) => 'detail' in answer),
  };
}

/** A worker that drops an idle connection, or that is starting, answers a moment later. */
async function twice<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await ask();
  } catch {
    await delay(500, undefined, { signal });
    return ask();
  }
}

async function readConnector(client: ConnectClient, { name, config }: ConnectorFile, signal: AbortSignal): Promise<ConnectorFacts> {
  const running = (await client.configs(signal)).get(name) ?? null;
  const status = running === null ? null : await client.status(name, signal);
  const [position, problems] = await Promise.all([
    running === null ? { offsets: [] } : readOffsets(client, name, signal),
    readProblems(client, config, signal),
  ]);
  return { name, running, status: status === null ? null : summarizeStatus(status), ...position, problems };
}

async function readOffsets(
  client: ConnectClient,
  name: string,
  signal: AbortSignal,
): Promise<Pick<ConnectorFacts, 'offsets' | 'offsetsProblem'>> {
  const limit = AbortSignal.timeout(offsetsLimitMs);
  try {
    return { offsets: await client.offsets(name, AbortSignal.any([signal, limit])) };
  } catch (error) {
    signal.throwIfAborted();
    return { offsets: null, offsetsProblem: limit.aborted ? `no answer within ${offsetsLimitMs / 1000} s` : oneLine(error) };
  }
}

async function readProblems(client: ConnectClient, config: ConnectorConfig, signal: AbortSignal): Promise<readonly string[]> {
  try {
    return configProblems(config, await client.validate(config, signal)).map(({ field, message }) => `${field}: ${message}`);
  } catch (error) {
    signal.throwIfAborted();
    // Connect has been reached: it lacks the plugin, or stumbles over the settings.
    return [describeError(error)];
  }
}

function oneLine(error: unknown): string {
  return describeError(error).replaceAll(/\s+/g, ' ').replace(/\.$/, '');
}
