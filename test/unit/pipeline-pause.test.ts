import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atMost, pause } from '#pipeline/index.ts';

const longMs = 600_000;

/** How many timers would keep the process. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
}

test('a pause ends with its signal, without an error, and leaves no timer', async () => {
  const before = timers();
  const stop = new AbortController();
  const paused = pause(longMs, stop.signal);
  stop.abort(new Error('enough'));
  await paused;
  await pause(longMs, stop.signal);
  await pause(-5, new AbortController().signal);
  assert.equal(timers(), before);
});

test('work is waited for until it has ended, also badly, and no longer than it may take', async () => {
  const before = timers();
  let ended = false;
  await atMost(
    longMs,
    new Promise((resolve) => setImmediate(resolve)).then(() => (ended = true)),
  );
  assert.ok(ended);
  await atMost(longMs, Promise.reject(new Error('failed')));
  await atMost(5, new Promise(() => undefined));
  assert.equal(timers(), before);
});
