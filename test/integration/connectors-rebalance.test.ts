import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { test } from 'node:test';
import { connectClient } from '#connectors/index.ts';
import { prepareTestConnector, removeConnector } from '#test/support/connect.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testStack } from '#test/support/stack.ts';

test('while the workers rebalance for real, requests wait and succeed', async (t) => {
  await using db = await createLegacyDatabase();
  const { connect } = await testStack();
  assert.ok(connect);
  await using proxy = await countingProxy(connect.url);
  const client = connectClient({ ...connect, url: proxy.url });
  const files = [
    (await prepareTestConnector({ database: db, tables: ['public.products'] })).file,
    (await prepareTestConnector({ database: db, tables: ['public.products'] })).file,
  ];
  const deadline = Date.now() + 120_000;
  const done = (): boolean => proxy.rebalances() > 0 || Date.now() > deadline;
  let asked = 0;
  try {
    // To create and to delete makes the workers share out the connectors again.
    const churn = files.map(async ({ name, config }) => {
      while (!done()) {
        await client.putConfig(name, config);
        await client.delete(name);
      }
    });
    const ask = files.map(async ({ name }) => {
      while (!done()) {
        await client.config(name);
        asked += 1;
      }
    });
    // None of them may fail for the rebalance. All are waited for, so that none goes on while the connectors are removed.
    const outcomes = await Promise.allSettled([...churn, ...ask]);
    assert.deepEqual(
      outcomes.filter(({ status }) => status === 'rejected'),
      [],
    );
  } finally {
    for (const { name } of files) await removeConnector(client, name, db.replicator);
  }
  t.diagnostic(`${proxy.rebalances()} of more than ${asked} answers reported of a rebalance`);
  assert.ok(proxy.rebalances() > 0, 'the workers did not rebalance: the test showed nothing');
});

/** Passes requests on to Connect and counts the answers about a rebalance. */
async function countingProxy(target: string): Promise<AsyncDisposable & { readonly url: string; readonly rebalances: () => number }> {
  let count = 0;
  const server = createServer((incoming, outgoing) => {
    const onward = httpRequest(
      `${target}${incoming.url ?? ''}`,
      { method: incoming.method, headers: { ...incoming.headers, host: new URL(target).host } },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('end', () => {
          const body = Buffer.concat(parts);
          if ((answer.statusCode ?? 0) >= 400 && /rebalance/i.test(body.toString())) count += 1;
          outgoing.writeHead(answer.statusCode ?? 500).end(body);
        });
      },
    );
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return {
    url: `http://127.0.0.1:${address.port}`,
    rebalances: () => count,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
