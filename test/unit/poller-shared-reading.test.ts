import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shareReading } from '#cdc-poller/position/shared-reading.ts';
import type { StoredTable } from '#cdc-poller/position/position-topic.ts';

type Positions = ReadonlyMap<string, StoredTable>;

/** Readings that end when the test says so. */
function readings(): { readonly read: () => Promise<Positions>; readonly begun: PromiseWithResolvers<Positions>[] } {
  const begun: PromiseWithResolvers<Positions>[] = [];
  const read = (): Promise<Positions> => {
    const reading = Promise.withResolvers<Positions>();
    begun.push(reading);
    return reading.promise;
  };
  return { read, begun };
}

const { signal } = new AbortController();
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a thousand tables that are taken over together need two readings, not a thousand', async () => {
  const { read, begun } = readings();
  const readPositions = shareReading(read);
  const first = readPositions(signal);
  await settled();
  const others = Array.from({ length: 999 }, () => readPositions(signal));
  await settled();
  assert.equal(begun.length, 1);
  begun[0]?.resolve(new Map());
  await first;
  await settled();
  assert.equal(begun.length, 2);
  const later: Positions = new Map();
  begun[1]?.resolve(later);
  for (const answer of await Promise.all(others)) assert.equal(answer, later);
  assert.equal(begun.length, 2);
});

test('no table is given a reading that began before it asked', async () => {
  const { read, begun } = readings();
  const readPositions = shareReading(read);
  const first = readPositions(signal);
  await settled();
  const second = readPositions(signal);
  const early: Positions = new Map();
  const late: Positions = new Map();
  begun[0]?.resolve(early);
  assert.equal(await first, early);
  await settled();
  begun[1]?.resolve(late);
  assert.equal(await second, late);
});

test('a reading that fails fails for those who wait for it, and the next one is tried', async () => {
  const { read, begun } = readings();
  const readPositions = shareReading(read);
  const failing = [readPositions(signal), readPositions(signal)];
  await settled();
  const after = readPositions(signal);
  begun[0]?.reject(new Error('Kafka is away'));
  for (const answer of failing) await assert.rejects(answer, /Kafka is away/);
  await settled();
  begun[1]?.resolve(new Map());
  assert.equal((await after).size, 0);
});

test('a table that is given up waits no longer; the others do', async () => {
  const { read, begun } = readings();
  const readPositions = shareReading(read);
  const leaving = new AbortController();
  const left = readPositions(leaving.signal);
  const stays = readPositions(signal);
  await settled();
  leaving.abort(new Error('the table has moved'));
  await assert.rejects(left, /the table has moved/);
  begun[0]?.resolve(new Map());
  assert.equal((await stays).size, 0);
});
