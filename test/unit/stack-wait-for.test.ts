import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withElapsed } from '#stack/progress.ts';
import { formatSeconds, waitFor } from '#stack/wait-for.ts';

const never = new AbortController().signal;

test('waits until the condition gives something, and gives it back; 0 and the empty text are something', async () => {
  let looks = 0;
  const condition = (): string | false => (++looks < 3 ? false : 'there');
  assert.equal(await waitFor(condition, { signal: never, timeoutMs: 5000, describe: 'x', intervalMs: 1 }), 'there');
  assert.equal(looks, 3);
  assert.equal(await waitFor(() => 0, { signal: never, timeoutMs: 10, describe: 'x' }), 0);
});

test('past the limit the error says what was awaited, with what was seen last', async () => {
  let seen = 0;
  const condition = (): false => {
    seen += 1;
    return false;
  };
  const waiting = waitFor(condition, {
    signal: never,
    timeoutMs: 20,
    describe: () => `rows arrive (${seen > 0 ? 'some' : 'no'} look)`,
    intervalMs: 1,
  });
  await assert.rejects(waiting, { code: 'WAIT_TIMEOUT', message: 'rows arrive (some look): not within 0.0 s.' });
});

function dead(): never {
  throw new Error('the process ended');
}

test('an abort ends the wait at once, and an error of the condition too', async () => {
  const abort = new AbortController();
  const started = performance.now();
  setTimeout(() => abort.abort(new Error('Ctrl-C')), 5);
  await assert.rejects(waitFor(() => false, { signal: abort.signal, timeoutMs: 60_000, describe: 'x', intervalMs: 60_000 }));
  assert.ok(performance.now() - started < 5000);
  await assert.rejects(waitFor(dead, { signal: never, timeoutMs: 60_000, describe: 'x' }), /the process ended/);
});

test('work over two seconds is reported with its time, quick work is not', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const reported: string[] = [];
  const report = (text: string): void => {
    reported.push(text.replace(/\(.*\)/, ''));
  };
  await withElapsed(report, 'quick', async () => t.mock.timers.tick(1900));
  await withElapsed(report, 'slow', async () => t.mock.timers.tick(5500));
  t.mock.timers.tick(60_000);
  assert.deepEqual(reported, ['slow ', 'slow ']);
});

test('times are reported as people read them', () => {
  const times = [0, 430, 9940, 9960, 59_400, 125_000];
  assert.deepEqual(times.map(formatSeconds), ['0.0 s', '0.4 s', '9.9 s', '10 s', '59 s', '2 min 5 s']);
});
