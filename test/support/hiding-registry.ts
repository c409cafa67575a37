import { once } from 'node:events';
import { createServer } from 'node:http';
import type { SchemaRegistryConfig } from '#pipeline/index.ts';
import { testRegistryConfig } from './registry.ts';

/** A way to read the registry on which one schema does not exist until it is shown: asked for it, the registry is asked for an id that nobody has. */
export type HidingRegistry = AsyncDisposable & {
  readonly schemaRegistry: SchemaRegistryConfig;
  show(): void;
};

const nobodysId = 2 ** 31 - 1;

export async function hidingRegistry(id: number): Promise<HidingRegistry> {
  const { url: direct } = await testRegistryConfig();
  const target = new URL(direct);
  let isHidden = true;
  const server = createServer((incoming, outgoing) => {
    const path = incoming.url ?? '/';
    const onward = isHidden ? path.replace(new RegExp(`/schemas/ids/${id}(?!\\d)`), `/schemas/ids/${nobodysId}`) : path;
    const ask = async (): Promise<void> => {
      const { authorization } = incoming.headers;
      const answer = await fetch(new URL(onward, target), { headers: authorization === undefined ? {} : { authorization } });
      outgoing.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'application/json' });
      outgoing.end(await answer.text());
    };
    ask().catch(() => outgoing.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
  const url = new URL(direct);
  url.port = String(address.port);
  return {
    schemaRegistry: await testRegistryConfig({ url: url.href }),
    show() {
      isHidden = false;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
