import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { ConsumedMessage } from '#kafka/index.ts';
import { committedRun, type Run } from '#kafka/records/committed-run.ts';
import { readRecords } from '#kafka/records/read-records.ts';
import { packers, recordBatch, type BatchRecord } from '#test/support/record-batches.ts';

const require = createRequire(import.meta.url);
const mebibyte = 2 ** 20;

function runOf(bytes: Buffer, from = 0n, limit = 8 * mebibyte): Promise<Run> {
  return committedRun({ topic: 't', partition: 0, from, bytes, aborted: [] }, { limit, taken: 0 });
}

const bytes = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  fc.constant(Buffer.from('a rather repetitive text, '.repeat(3000))),
);
const headers = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 9 }), { maxKeys: 2, noNullPrototype: true }) },
);
const records = fc.array(fc.record({ key: bytes, value: bytes, headers }), { minLength: 1, maxLength: 20 });

function plain({ key, value, headers: named, offset, timestamp }: ConsumedMessage): object {
  return { key, value, headers: { ...named }, offset, timestamp };
}

suite('codecs', () => {
  for (const packer of Object.keys(packers)) {
    test(`whatever was packed by ${packer} is read as it was written`, async () => {
      await fc.assert(
        fc.asyncProperty(records, fc.bigInt({ min: 0n, max: 2n ** 53n - 100n }), async (written, firstOffset) => {
          const { messages, nextOffset, unreadable } = await runOf(
            recordBatch(written, { packer, firstOffset, timestamp: 1000n }),
            firstOffset,
          );
          assert.equal(unreadable, null);
          assert.equal(nextOffset, firstOffset + BigInt(written.length));
          assert.deepEqual(
            messages.map(plain),
            written.map((record, index) => ({ ...record, offset: firstOffset + BigInt(index), timestamp: 1000 })),
          );
        }),
        { numRuns: process.env['TEST_NIGHTLY'] === '1' ? 200 : 25 },
      );
    });

    test(`what ${packer} has packed and would be larger than it may is not unpacked, and named`, async () => {
      const blanks = Buffer.alloc(3 * mebibyte, ' ');
      // What is large when packed is unpacked on other threads.
      const hardlyPacked = Buffer.concat([randomBytes(64 * 1024), blanks]);
      for (const value of [blanks, hardlyPacked]) {
        const large = recordBatch([{ key: 'k', value }], { packer, firstOffset: 7n });
        const { messages, nextOffset, unreadable } = await runOf(large, 7n, mebibyte);
        assert.deepEqual([messages, nextOffset], [[], 7n]);
        assert.equal(unreadable?.error.code, 'KAFKA_BATCH_TOO_LARGE');
        assert.equal(
          unreadable.error.message,
          'topic t, partition 0, offsets 7 to 7: a batch of records takes more than 1 MiB (kafka.maxBatchMb)',
        );
        assert.deepEqual((await runOf(large, 7n, 4 * mebibyte)).messages.length, 1);
      }
    });

    test(`damage of what ${packer} has packed, also with a right checksum, is named and throws nothing`, async () => {
      const written = [{ key: 'k', value: 'value, '.repeat(2000) }];
      const sound = recordBatch(written, { packer });
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 21, max: sound.length - 1 }), fc.integer({ min: 1, max: 255 }), async (at, change) => {
          const damaged = Buffer.from(sound);
          damaged.writeUInt8(damaged.readUInt8(at) ^ change, at);
          assert.equal((await runOf(damaged)).unreadable?.error.code, 'KAFKA_BATCH_UNREADABLE');
        }),
        { numRuns: 25 },
      );
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (junk) => {
          const batch = recordBatch(written, { packed: Buffer.from(junk), codec: packers[packer]?.codec ?? 0 });
          // Junk may claim any size.
          assert.match((await runOf(batch)).unreadable?.error.code ?? 'it was read', /^KAFKA_BATCH_/);
        }),
        { numRuns: 200 },
      );
    });
  }

  test('a codec that Kafka does not have, and a format of before Kafka 0.11, are named', async () => {
    const unknown = await runOf(recordBatch([{ key: null, value: 'v' }], { codec: 6 }));
    assert.match(unknown.unreadable?.error.message ?? '', /no codec has the number 6/);
    const old = recordBatch([{ key: null, value: 'v' }]);
    old.writeInt8(1, 16);
    assert.match((await runOf(old)).unreadable?.error.message ?? '', /message format 1, of before Kafka 0\.11/);
  });

  test('what comes before a batch that cannot be read is handed over, and that batch is the next', async () => {
    const sound = recordBatch([{ key: 'a', value: '1' }]);
    const damaged = recordBatch([{ key: 'b', value: '2' }], { firstOffset: 1n });
    damaged.writeUInt8(damaged.readUInt8(65) ^ 1, 65);
    const both = Buffer.concat([sound, damaged]);
    const first = await runOf(both);
    assert.deepEqual([first.messages.length, first.nextOffset, first.unreadable], [1, 1n, null]);
    const second = await runOf(both, 1n);
    assert.deepEqual([second.unreadable?.offset, second.unreadable?.nextOffset], [1n, 2n]);
  });

  test('many batches that are each as large as they may be are not unpacked at once', async () => {
    const blanks = Buffer.alloc(mebibyte - 100, ' ');
    const all = Buffer.concat(
      Array.from({ length: 50 }, (_, index) => recordBatch([{ key: 'k', value: blanks }], { packer: 'zstd', firstOffset: BigInt(index) })),
    );
    const seen: bigint[] = [];
    for (let from = 0n; from < 50n;) {
      const { messages, nextOffset } = await runOf(all, from, mebibyte);
      assert.ok(messages.length > 0 && messages.length <= 2, `${messages.length} of them at once`);
      seen.push(...messages.map(({ offset }) => offset));
      from = nextOffset;
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 50 }, (_, index) => BigInt(index)),
    );
  });
});

type Act = { readonly producer: number; readonly act: 'send' | 'commit' | 'abort' | 'send outside' };
type Transaction = { readonly producerId: bigint; readonly first: number; readonly outcome: 'commit' | 'abort'; readonly last: number };
type Logged = { readonly bytes: Buffer; readonly producerId: bigint; readonly transactional: boolean; readonly control: boolean };

/** What a partition's log and the broker's index of aborted transactions hold after `acts`; what is open then is aborted. */
function writeLog(acts: readonly Act[]): { readonly log: readonly Logged[]; readonly ended: readonly Transaction[] } {
  const log: Logged[] = [];
  const begun = new Map<number, number>();
  const ended: Transaction[] = [];
  const write = (producer: number, record: BatchRecord, transactional: boolean, control = false): void => {
    const producerId = BigInt(producer);
    const options = { firstOffset: BigInt(log.length), producerId, transactional, control };
    log.push({ bytes: recordBatch([record], options), producerId, transactional, control });
  };
  const end = (producer: number, first: number, outcome: Transaction['outcome']): void => {
    ended.push({ producerId: BigInt(producer), first, outcome, last: log.length });
    write(producer, { key: Buffer.from([0, 0, 0, outcome === 'abort' ? 0 : 1]), value: null }, true, true);
    begun.delete(producer);
  };
  for (const { producer, act } of acts) {
    const first = begun.get(producer);
    // A key as an abort marker has it is an application's right.
    const record = { key: Buffer.from([0, 0, 0, 0]), value: 'v' };
    if (act === 'send outside') write(99, record, false);
    else if (act === 'send') {
      if (first === undefined) begun.set(producer, log.length);
      write(producer, record, true);
    } else if (first !== undefined) end(producer, first, act);
  }
  for (const [producer, first] of begun) end(producer, first, 'abort');
  return { log, ended };
}

suite('what is committed', () => {
  const acts = fc.array(
    fc.record({ producer: fc.nat({ max: 4 }), act: fc.constantFrom('send', 'send', 'send outside', 'commit', 'abort') }),
    { maxLength: 60 },
  );

  test('of what a fetch brings, wherever it begins and ends, exactly the committed messages are left, however transactions are entangled', async () => {
    await fc.assert(
      fc.asyncProperty(acts, fc.nat({ max: 70 }), fc.nat({ max: 70 }), async (all, one, other) => {
        const { log, ended } = writeLog(all);
        const [from, to] = [Math.min(one, other), Math.min(Math.max(one, other), log.length)];
        const aborted = ended
          .filter(({ outcome, first, last }) => outcome === 'abort' && last >= from && first < to)
          .map(({ producerId, first }) => ({ producerId, firstOffset: BigInt(first) }));
        const isAborted = (offset: number, producerId: bigint): boolean =>
          ended.some((each) => each.outcome === 'abort' && each.producerId === producerId && offset >= each.first && offset <= each.last);
        const expected = log.flatMap(({ control, producerId, transactional }, offset) =>
          offset < from || offset >= to || control || (transactional && isAborted(offset, producerId)) ? [] : [BigInt(offset)],
        );
        const fetched = Buffer.concat(log.slice(from, to).map((logged) => logged.bytes));
        const run = await committedRun(
          { topic: 't', partition: 0, from: BigInt(from), bytes: fetched, aborted },
          { limit: mebibyte, taken: 0 },
        );
        assert.deepEqual(
          run.messages.map(({ offset }) => offset),
          expected,
        );
        assert.equal(run.nextOffset, BigInt(Math.max(from, to)));
      }),
      { numRuns: 500 },
    );
  });

  test('a batch of an aborted transaction is passed, whether it can be read or not', async () => {
    const damaged = recordBatch([{ key: 'a', value: '1' }], { producerId: 5n, transactional: true, codec: 4 });
    const marker = recordBatch([{ key: Buffer.from([0, 0, 0, 0]), value: null }], {
      firstOffset: 1n,
      producerId: 5n,
      transactional: true,
      control: true,
    });
    const fetched = {
      topic: 't',
      partition: 0,
      from: 0n,
      bytes: Buffer.concat([damaged, marker]),
      aborted: [{ producerId: 5n, firstOffset: 0n }],
    };
    assert.deepEqual(await committedRun(fetched, { limit: mebibyte, taken: 0 }), { messages: [], nextOffset: 2n, unreadable: null });
  });
});

/** A module of kafkajs as it comes. */
function callable(id: string): (...args: readonly unknown[]) => unknown {
  const module: unknown = require(id);
  assert.ok(typeof module === 'function');
  return (...args) => Reflect.apply(module, undefined, args);
}

test('a record is read as kafkajs itself wrote it, to the last digit of its times', () => {
  const encode = callable('kafkajs/src/protocol/recordBatch/record/v0');
  const record = fc.record({
    offsetDelta: fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 2 ** 26 })),
    timestampDelta: fc.oneof(...[7, 28, 33, 40].map((bits) => fc.integer({ min: -(2 ** bits), max: 2 ** bits }))),
    key: bytes,
    value: bytes,
    headers,
  });
  fc.assert(
    fc.property(fc.array(record, { maxLength: 5 }), fc.nat(), (all, first) => {
      const parts = all.map((each) => {
        const encoded: unknown = encode(each);
        assert.ok(typeof encoded === 'object' && encoded !== null);
        const written: unknown = Reflect.get(encoded, 'buffer');
        assert.ok(Buffer.isBuffer(written));
        return Buffer.from(written);
      });
      const read = readRecords(Buffer.concat(parts), all.length, { offset: first, timestamp: 5000, appendTime: null });
      assert.deepEqual(
        read.map(plain),
        all.map(({ offsetDelta, timestampDelta, ...rest }) => ({
          ...rest,
          offset: BigInt(first + offsetDelta),
          timestamp: 5000 + timestampDelta,
        })),
      );
    }),
    { numRuns: 200 },
  );
});
