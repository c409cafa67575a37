import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNotReady, type LastCheck } from '#connectors/guard/metrics.ts';

const look = (more: Partial<LastCheck> = {}): LastCheck => ({ at: 100_000, connector: 'failed', source: 'seen', ...more });
const why = (looks: Readonly<Record<string, LastCheck>>, nowMs = 101_000): readonly string[] =>
  whyNotReady(new Map(Object.entries(looks)), ['orders'], nowMs, 1000);

test('the guard is ready when it has looked lately and could ask both sides, whatever the connector is like', () => {
  assert.deepEqual(why({ orders: look() }), []);
});

test('a look that has not come, is long ago, or could not ask a side is said', () => {
  assert.deepEqual(why({}), ['orders: not looked at yet']);
  assert.deepEqual(why({ orders: look() }, 400_000), ['orders: last looked at 300 s ago']);
  assert.deepEqual(why({ orders: look({ connector: 'unknown', source: 'unknown' }) }), [
    'orders: Kafka Connect cannot be asked',
    'orders: the legacy database cannot be asked',
  ]);
});
