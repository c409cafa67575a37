import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { leaveOutAborted, type FetchedPartition, type FetchedRecord } from '#kafka/kafkajs/read-committed.ts';

type Act = { readonly producer: number; readonly act: 'send' | 'commit' | 'abort' | 'send outside' };
type Transaction = { readonly producerId: string; readonly first: number; readonly outcome: 'commit' | 'abort'; readonly last: number };

/** What a partition's log and the broker's index of aborted transactions hold after `acts`; what is open then is aborted. */
function writeLog(acts: readonly Act[]): { readonly records: readonly FetchedRecord[]; readonly ended: readonly Transaction[] } {
  const records: FetchedRecord[] = [];
  const begun = new Map<number, number>();
  const ended: Transaction[] = [];
  const write = (producer: number, key: Buffer, inTransaction: boolean, isControlRecord = false): void => {
    records.push({ offset: String(records.length), key, isControlRecord, batchContext: { producerId: String(producer), inTransaction } });
  };
  const end = (producer: number, first: number, outcome: Transaction['outcome']): void => {
    ended.push({ producerId: String(producer), first, outcome, last: records.length });
    write(producer, Buffer.from([0, 0, 0, outcome === 'abort' ? 0 : 1]), true, true);
    begun.delete(producer);
  };
  for (const { producer, act } of acts) {
    const first = begun.get(producer);
    if (act === 'send outside') write(99, Buffer.from([0, 0, 0, 0]), false);
    else if (act === 'send') {
      if (first === undefined) begun.set(producer, records.length);
      // A key as an abort marker has it is an application's right.
      write(producer, Buffer.from([0, 0, 0, 0]), true);
    } else if (first !== undefined) end(producer, first, act);
  }
  for (const [producer, first] of begun) end(producer, first, 'abort');
  return { records, ended };
}

/** The answer of a broker to a fetch from `from`, cut before `to`. */
function fetchOf({ records, ended }: ReturnType<typeof writeLog>, from: number, to: number): FetchedPartition {
  return {
    messages: records.slice(from, to).map((record) => ({ ...record })),
    abortedTransactions: ended
      .filter(({ outcome, first, last }) => outcome === 'abort' && last >= from && first < to)
      .map(({ producerId, first }) => ({ producerId, firstOffset: String(first) })),
  };
}

function committedOffsets({ records, ended }: ReturnType<typeof writeLog>, from: number, to: number): readonly string[] {
  const isAborted = ({ offset, batchContext }: FetchedRecord): boolean =>
    ended.some(
      ({ producerId, outcome, first, last }) =>
        outcome === 'abort' && producerId === batchContext?.producerId && Number(offset) >= first && Number(offset) <= last,
    );
  return records
    .slice(from, to)
    .filter((record) => !record.isControlRecord && !isAborted(record))
    .map(({ offset }) => offset);
}

const acts = fc.array(
  fc.record({ producer: fc.nat({ max: 4 }), act: fc.constantFrom('send', 'send', 'send outside', 'commit', 'abort') }),
  { maxLength: 60 },
);

test('of what a fetch brings, wherever it begins and ends, exactly the committed messages are left, however transactions are entangled', () => {
  fc.assert(
    fc.property(acts, fc.nat({ max: 70 }), fc.nat({ max: 70 }), (all, one, other) => {
      const log = writeLog(all);
      const [from, to] = [Math.min(one, other), Math.max(one, other)];
      const fetched = fetchOf(log, from, to);
      leaveOutAborted(fetched);
      const left = fetched.messages.filter(({ isControlRecord }) => !isControlRecord).map(({ offset }) => offset);
      assert.deepEqual(left, committedOffsets(log, from, to));
      assert.deepEqual(fetched.abortedTransactions, [], 'nothing is left to kafkajs’s own filter');
      assert.equal(fetched.messages.length, Math.max(0, Math.min(to, log.records.length) - from), 'kafkajs needs all offsets to move on');
    }),
    { numRuns: 2000 },
  );
});

test('messages of the formats before transactions are left alone', () => {
  const old: FetchedPartition = {
    messages: [{ offset: '3', key: null, isControlRecord: false }],
    abortedTransactions: [{ producerId: '1', firstOffset: '2' }],
  };
  leaveOutAborted(old);
  assert.deepEqual(
    old.messages.map(({ isControlRecord }) => isControlRecord),
    [false],
  );
});
