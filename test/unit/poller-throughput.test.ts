import assert from 'node:assert/strict';
import { postgres } from '#cdc-poller/postgres/dialect.ts';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import * as fc from 'fast-check';
import { createEventEncoder } from '#cdc-poller/encoding/event-encoder.ts';
import { createSendQueue } from '#cdc-poller/table/send-queue.ts';
import { charactersOf, firstPageSize, nextPageSize } from '#cdc-poller/source/page-size.ts';

test('a send queue does its jobs in order, lets its maker go only so far ahead, and does none after one that failed', async () => {
  const queue = createSendQueue(2);
  const done: number[] = [];
  let running = 0;
  for (let job = 0; job < 6; job += 1) {
    await queue.add(async () => {
      running += 1;
      assert.equal(running, 1);
      await delay(1);
      done.push(job);
      running -= 1;
    });
    assert.ok(done.length >= job - 1, `job ${job} was taken with ${done.length} done`);
  }
  await queue.drain();
  assert.deepEqual(done, [0, 1, 2, 3, 4, 5]);
  await queue.add(() => Promise.reject(new RangeError('full')));
  await queue.add(async () => void done.push(7));
  await assert.rejects(queue.drain(), /full/);
  await assert.rejects(async () => {
    for (let job = 8; job < 12; job += 1) await queue.add(async () => void done.push(job));
  }, /full/);
  await queue.settled();
  assert.equal(done.length, 6);
});

test('pages grow to what the settings allow and shrink to what fits when rows are large', () => {
  assert.equal(firstPageSize(100), 100);
  assert.equal(firstPageSize(100_000), 250);
  assert.equal(nextPageSize(250, { rows: 250, characters: 25_000 }, 5000), 1000);
  assert.equal(nextPageSize(2000, { rows: 2000, characters: 200_000 }, 5000), 5000);
  assert.equal(nextPageSize(1000, { rows: 10, characters: 10 * 2 ** 20 }, 5000), 2);
  assert.equal(nextPageSize(2, { rows: 2, characters: 2 ** 24 }, 5000), 1);
  assert.equal(nextPageSize(1000, { rows: 0, characters: 0 }, 1000), 1000);
  assert.equal(
    charactersOf([
      ['12', null],
      ['', 'abc'],
    ]),
    5,
  );
});

const twoDigits = (max: number, min = 0) => fc.integer({ min, max }).map((value) => value.toString().padStart(2, '0'));

test('the short way of ordinary timestamps writes what the long way writes', () => {
  const fraction = fc.option(fc.stringMatching(/^\d{0,5}[1-9]$/), { nil: '' });
  const parts = fc.tuple(
    fc.integer({ min: 1, max: 9999 }),
    twoDigits(12, 1),
    twoDigits(28, 1),
    twoDigits(23),
    twoDigits(59),
    twoDigits(59),
    fraction,
  );
  fc.assert(
    fc.property(parts, fc.constantFrom(-1, 0, 1, 3, 6), ([year, month, day, hour, minute, second, digits], modifier) => {
      const kept = modifier < 0 ? digits : digits.slice(0, modifier).replace(/0+$/, '');
      const date = `${year.toString().padStart(4, '0')}-${month}-${day}`;
      const clock = `${hour}:${minute}:${second}`;
      const encoder = createEventEncoder({
        database: 'd',
        table: { schema: 'public', table: 't' },
        prefix: 'p',
        columns: [{ name: 'at', type: { name: 'timestamptz', isArray: false, modifier } }],
        published: [{ column: 0, mask: null }],
        key: [0],
        timestamps: [0],
        encodeColumn: postgres.encodeColumn,
        keyText: postgres.keyText,
        clock: null,
      });
      const row = [`${date} ${clock}${kept === '' ? '' : `.${kept}`}+00`];
      const places = modifier < 0 ? 6 : modifier;
      const expected = `${date}T${clock}${places === 0 ? '' : `.${kept.padEnd(places, '0')}`}Z`;
      assert.equal(encoder.after(row), `{"at":"${expected}"}`);
      const value = encoder.value(row, { op: 'r', txId: '1', publishedAt: 0 });
      const millis = Date.parse(`${date}T${clock}.${kept.padEnd(3, '0').slice(0, 3)}Z`);
      assert.ok(value.includes(`"ts_ms":${millis},"snapshot"`), value);
    }),
    { numRuns: 500 },
  );
});
