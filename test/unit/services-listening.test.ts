import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { Agent, request } from 'undici';
import { silentLogger } from '#pipeline/index.ts';
import { close, listen, watchUnused } from '#services/http/listening.ts';
import { createServer } from '#services/http/server.ts';
import { createCa } from '#test/support/certificates.ts';

const hour = 3_600_000;

for (const scheme of ['http', 'https'] as const)
  test(`connections on which nothing is asked do not hold up the end of a server, and a request that runs is answered (${scheme})`, async (context) => {
    await using ca = await createCa();
    const app = await createServer({
      settings: { requestTimeoutMs: hour, trustedProxies: [], rateLimit: { requests: 0, windowMs: 1000 } },
      logger: silentLogger,
      certificate: scheme === 'https' ? await ca.issue(['127.0.0.1']) : null,
      served: [{ path: /^\/$/, methods: ['GET'] }],
    });
    const answer = Promise.withResolvers<string>();
    const asked = Promise.withResolvers<undefined>();
    app.get('/', () => {
      asked.resolve(undefined);
      return answer.promise;
    });
    const unused = watchUnused(app);
    const url = await listen(app, { host: '127.0.0.1', port: 0 }, scheme);
    const silent = connect(Number(new URL(url).port), '127.0.0.1');
    await once(silent, 'connect');
    const agent = new Agent({ connect: { ca: ca.ca }, keepAliveTimeout: hour });
    context.after(() => agent.destroy());
    const running = request(url, { dispatcher: agent });
    await asked.promise;
    // As long as that it would wait for what it does not cut off: for ever, as far as a test is concerned.
    const ended = close(app, unused, hour);
    await once(silent.resume(), 'close');
    answer.resolve('the answer');
    assert.equal(await (await running).body.text(), 'the answer');
    await ended;
  });
