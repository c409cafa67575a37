import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { RunningService } from '#services/index.ts';
import { openStream, type StreamClient, type StreamEvent } from '#test/support/event-stream.ts';
import { createFallbackScene, statusOf, type FallbackScene } from '#test/support/fallback-scene.ts';
import { get } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';

/** Live streams while the read server is really stopped and started again. */
let scene: FallbackScene;
let api: RunningService;
/** Its requests have a fallback; its streams have none. */
let withFallback: RunningService;
const path = '/v1/customers?fields=name&limit=5';

before(async () => {
  scene = await createFallbackScene();
  api = await scene.start(null);
  withFallback = await scene.start({ model: { failures: 2, probeAfterMs: 600_000 } });
});
after(() => scene[Symbol.asyncDispose]());

function names(events: readonly StreamEvent[]): readonly string[] {
  return events.map(({ event, data }) => (event === 'row' || event === 'gone' ? `${event} ${data}` : event));
}

const row = (id: number, name: string): string => `row {"key":{"id":"${id}"},"row":{"name":"${name}"}}`;
const gone = (id: number): string => `gone {"key":{"id":"${id}"}}`;

function looksThatFailed(): number {
  return scene.log().split('a watched list cannot be read for now').length;
}

/** Waits until exactly these events have come, from `first` on. */
async function exactly(client: StreamClient, first: number, wanted: readonly string[]): Promise<void> {
  await client.until((events) => events.length >= first + wanted.length);
  assert.deepEqual(names(client.events.slice(first)), wanted);
}

async function comesAgain(lastId: string): Promise<StreamClient> {
  return eventually(
    () => openStream(`${api.url}${path}`, { 'last-event-id': lastId }),
    ({ status }) => status === 200,
  );
}

test('the read server is stopped: an open stream says so once and stays; a new one, and one that comes again, gets 503 with Retry-After', async () => {
  using staying = await openStream(`${api.url}${path}`);
  using leaving = await openStream(`${api.url}${path}`);
  for (const client of [staying, leaving]) await client.until((events) => events.at(-1)?.event === 'current');
  const begun = staying.events.length;
  leaving[Symbol.dispose]();
  const { lastId } = leaving;
  // Just before the end: it may be sent before or after it, but once.
  await scene.read.run(`UPDATE model.customers SET name = 'at the end' WHERE id = 1`, 'legacy');
  await scene.read.stop();
  await staying.until((events) => events.at(-1)?.event === 'away');
  const early = names(staying.events.slice(begun));
  assert.equal(staying.ended, false);
  const failed = looksThatFailed();
  await eventually(
    () => Promise.resolve(looksThatFailed()),
    (now) => now > failed,
  );
  for (const headers of [{}, { 'last-event-id': lastId }]) {
    const refused = await get(api, path, { accept: 'text/event-stream', ...headers });
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
    assert.match(refused.text, /model-unavailable/);
  }

  await scene.read.start();
  await scene.read.run(`UPDATE model.customers SET name = 'while away' WHERE id = 2; DELETE FROM model.customers WHERE id = 3`, 'legacy');
  // One more, by which it is known that all before it has been sent.
  const last = row(4, 'last');
  await scene.read.run(`UPDATE model.customers SET name = 'last' WHERE id = 4`, 'legacy');
  await staying.until((events) => names(events).includes(last) && events.at(-1)?.event === 'current');
  const rows = names(staying.events.slice(begun)).filter((one) => one !== 'current' && one !== 'away');
  const changes = [row(1, 'at the end'), row(2, 'while away'), gone(3), row(6, 'customer 6'), last].toSorted();
  assert.deepEqual(rows.toSorted(), changes, `each change once; before the end: ${early.join(', ')}`);
  assert.equal(names(staying.events).filter((one) => one === 'away').length, 1);

  using again = await comesAgain(lastId);
  await again.until((events) => events.at(-1)?.event === 'current');
  assert.deepEqual(names(again.events).slice(0, -1).toSorted(), changes, 'who comes again gets what it missed, and nothing twice');
  using whole = await comesAgain(staying.lastId);
  await exactly(whole, 0, ['current']);
});

test('nothing has changed meanwhile: the stream says that it is current again, and sends no row', async () => {
  using client = await openStream(`${api.url}${path}`);
  await client.until((events) => events.at(-1)?.event === 'current');
  const begun = client.events.length;
  await scene.read.stop();
  await exactly(client, begun, ['away']);
  await scene.read.start();
  await exactly(client, begun, ['away', 'current']);
});

test('a fallback answers requests, not streams: while its breaker is open they are refused at once, and the server is not asked', async () => {
  assert.equal((await get(withFallback, path)).status, 200);
  await scene.read.stop();
  await eventually(
    () => get(withFallback, path, { accept: 'text/event-stream' }).then(() => statusOf(withFallback)),
    ({ dependencies }) => dependencies['read-model'].state === 'open',
  );
  const refused = await get(withFallback, path, { accept: 'text/event-stream' });
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
  assert.match(refused.text, /model-unavailable/);
  assert.equal((await get(withFallback, path)).headers.get('answered-by'), 'last-answer');
  await scene.read.start();
  using early = await openStream(`${withFallback.url}${path}`);
  assert.equal(early.status, 503, 'it is not asked yet');
});
