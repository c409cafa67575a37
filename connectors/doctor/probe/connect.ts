import { setTimeout as delay } from 'node:timers/promises';
import { describeError } from '#pipeline/index.ts';
import type { ConnectorConfig, ConnectorFile } from '../../config-file.ts';
import type { ConnectClient } from '../../rest/client.ts';
import type { ConnectorOffsets } from '../../rest/schemas.ts';
import { summarizeStatus, type StatusSummary } from '../../status.ts';
import { configProblems } from '../../validation.ts';

/** What Kafka Connect knows of one connector file. `running` null: no connector of that name. */
export type ConnectorFacts = {
  readonly name: string;
  readonly running: ConnectorConfig | null;
  readonly status: StatusSummary | null;
  readonly offsets: ConnectorOffsets;
  /** Why the server would not take the file's settings. */
  readonly problems: readonly string[];
};

/** A connector about which Connect would not answer. */
export type Unreadable = { readonly name: string; readonly detail: string };

export type ConnectFacts =
  | { readonly state: 'unreachable'; readonly url: string; readonly detail: string }
  | { readonly state: 'reachable'; readonly connectors: readonly ConnectorFacts[]; readonly unreadable: readonly Unreadable[] };

const limitMs = 25_000;

/** Asks; creates nothing (validating makes the worker look at the source, as the connector would). */
export async function readConnect(client: ConnectClient, files: readonly ConnectorFile[], signal: AbortSignal): Promise<ConnectFacts> {
  const limit = AbortSignal.timeout(limitMs);
  const either = AbortSignal.any([signal, limit]);
  const describe = (error: unknown): string => {
    signal.throwIfAborted();
    const detail = limit.aborted ? `no answer within ${limitMs / 1000} s` : describeError(error);
    return detail.replaceAll(/\s+/g, ' ').replace(/\.$/, '');
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
  const running = await client.config(name, signal);
  const status = running === null ? null : await client.status(name, signal);
  const offsets = running === null ? [] : await client.offsets(name, signal);
  const problems = await readProblems(client, config, signal);
  return { name, running, status: status === null ? null : summarizeStatus(status), offsets, problems };
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
