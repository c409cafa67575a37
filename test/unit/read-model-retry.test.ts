import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CdcError, silentLogger } from '#pipeline/index.ts';
import { firstFailing } from '#read-model/apply/first-failing.ts';
import { isRetryable, retrying } from '#read-model/retry.ts';

const withCode = (code: string) => Object.assign(new Error(code), { code });

test('what passes by itself is tried again, what does not is not', () => {
  for (const code of ['40001', '40P01', '57P01', '57P03', '08006', '53300', 'ECONNREFUSED', 'ECONNRESET']) {
    assert.ok(isRetryable(withCode(code)), code);
  }
  assert.ok(isRetryable(new Error('Connection terminated unexpectedly')));
  assert.ok(isRetryable(new AggregateError([withCode('ECONNREFUSED')])));
  assert.ok(isRetryable(new CdcError('KAFKA_UNREACHABLE', 'away')));
  for (const code of ['22P02', '23502', '42P01', '28P01', '3D000']) assert.ok(!isRetryable(withCode(code)), code);
  assert.ok(!isRetryable(new CdcError('READ_MODEL_EVENTS_LOST', 'gone')));
  assert.ok(!isRetryable(new TypeError('a bug')));
});

test('work is repeated until it succeeds', async () => {
  let runs = 0;
  const result = await retrying('work', silentLogger, new AbortController().signal, async () => {
    runs += 1;
    if (runs < 3) throw withCode('40001');
    return 'done';
  });
  assert.equal(result, 'done');
  assert.equal(runs, 3);
});

test('an abort ends the waiting at once', async () => {
  const stop = new AbortController();
  const waiting = retrying('work', silentLogger, stop.signal, async () => {
    throw withCode('ECONNREFUSED');
  });
  setImmediate(() => stop.abort(new Error('stopped')));
  await assert.rejects(waiting, /stopped/);
});

test('the first failing item is found in few tries', async () => {
  for (const culprit of [0, 1, 499, 999]) {
    let tries = 0;
    const found = await firstFailing(1000, async (count) => {
      tries += 1;
      return count > culprit;
    });
    assert.equal(found, culprit);
    assert.ok(tries <= 11, `${tries} tries`);
  }
  assert.equal(await firstFailing(10, async () => false), null);
});
