import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import { silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { orderServiceRoles, queryApiRoles } from '#services/index.ts';
import { formatSeconds, waitFor, type MainOptions, type StackState } from '#stack/index.ts';

/** What a program saw that changed an order through the gateway and read it back. */
export type CommandSeen = {
  /** The gateway. */
  readonly url: string;
  readonly order: string;
  readonly status: string;
  /** From the request until the legacy database had committed and the answer was here. */
  readonly commandMs: number;
  /** From then until the query API gave the order with the change in it. */
  readonly readMs: number;
  /** What the query API says of that answer: `fresh`, `stale`, `unknown`. */
  readonly freshness: string;
};

/** Services, Kafka and Java start on a machine that may be busy. */
const limitMs = 120_000;
const orderPage = z.object({ items: z.tuple([z.looseObject({ id: z.string(), status: z.string() })], z.unknown()) });
const token = z.object({ access_token: z.string() });

/** The rights of the roles that the services use. @throws CdcError of whichever database refuses */
export async function grantServices(config: PipelineConfig): Promise<void> {
  await queryApiRoles({ config, apply: true, logger: silentLogger });
  await orderServiceRoles({ config, apply: true, logger: silentLogger });
}

/** How `cdc services start` is started: it counts as started when the gateway and what is behind it are ready. */
export function servicesMain({ services = {} }: PipelineConfig): Pick<MainOptions, 'name' | 'args' | 'ready' | 'timeoutMs'> {
  const { queryApi, orders, gateway } = services;
  const addresses = [queryApi?.http, orders?.http, gateway?.monitoring].filter((address) => address !== undefined);
  return {
    name: 'services',
    args: ['services', 'start'],
    ready: async (signal) => {
      const answers = addresses.map(({ host, port }) => fetch(`http://${host}:${port}/readyz`, { signal }).then(({ ok }) => ok));
      return (await Promise.all(answers).catch(() => [false])).every((isReady) => isReady);
    },
    timeoutMs: limitMs,
  };
}

/**
 * A command and its effect, as a program of a user has them: a token of the provider, a PATCH, and a GET that waits for its position.
 *
 * @throws CdcError WAIT_TIMEOUT with the last answer
 */
export async function changeAnOrder(provider: NonNullable<StackState['identityProvider']>, signal: AbortSignal): Promise<CommandSeen> {
  const { gatewayUrl: url } = provider;
  const authorization = `Bearer ${await programToken(provider, signal)}`;
  const listed = await answered(`${url}/v1/orders?limit=1`, { headers: { authorization } }, signal);
  const [{ id, status: before }] = orderPage.parse(JSON.parse(listed.text)).items;
  const status = before === 'paid' ? 'packed' : 'paid';
  const began = performance.now();
  const commanded = await answered(
    `${url}/v1/orders/${id}`,
    {
      method: 'PATCH',
      headers: { authorization, 'content-type': 'application/merge-patch+json', 'idempotency-key': randomUUID() },
      body: JSON.stringify({ status }),
    },
    signal,
  );
  const committed = performance.now();
  const position = commanded.headers.get('min-position') ?? '';
  const read = await answered(`${url}/v1/orders/${id}`, { headers: { authorization, 'min-position': position } }, signal);
  const readMs = performance.now() - committed;
  if (z.object({ status: z.string() }).parse(JSON.parse(read.text)).status !== status)
    throw new Error(`order ${id} was read at ${position} without what had been committed before: a guarantee is broken`);
  return { url, order: id, status, commandMs: committed - began, readMs, freshness: read.headers.get('freshness') ?? 'unknown' };
}

/** As lines of a terminal. */
export function renderCommand({ url, order, status, commandMs, readMs, freshness }: CommandSeen): string {
  return [
    'Services',
    `  A program changed an order through the gateway at ${url}, and read it back:`,
    `  PATCH /v1/orders/${order} {"status":"${status}"}: committed in the legacy database, answered after ${Math.round(commandMs)} ms`,
    `  GET /v1/orders/${order} with its Min-Position: "${status}" from the read model after ${Math.round(readMs)} ms, ${freshness}`,
  ].join('\n');
}

async function programToken(
  { issuer, audience, program }: NonNullable<StackState['identityProvider']>,
  signal: AbortSignal,
): Promise<string> {
  const { text } = await answered(
    `${issuer}/token`,
    {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`${program.clientId}:${encodeURIComponent(program.secret)}`)}` },
      body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'read orders:write', resource: audience }),
    },
    signal,
  );
  return token.parse(JSON.parse(text)).access_token;
}

type Answered = { readonly text: string; readonly headers: Headers };

/** Asks until it is answered well. A command has a key of its own: asked twice it is done once. */
async function answered(url: string, request: RequestInit, signal: AbortSignal): Promise<Answered> {
  let last = 'no answer';
  return waitFor(
    async () => {
      try {
        const response = await fetch(url, { ...request, signal });
        const text = await response.text();
        last = `${response.status} ${text.slice(0, 200)}`;
        return response.ok ? { text, headers: response.headers } : null;
      } catch (error) {
        signal.throwIfAborted();
        last = String(error);
        return null;
      }
    },
    { signal, timeoutMs: limitMs, describe: () => `${request.method ?? 'GET'} ${url} (last: ${last}), within ${formatSeconds(limitMs)}` },
  );
}
