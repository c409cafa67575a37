import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { eventDecoder } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import { readEnd, transactionOf } from '#read-model/transactions/boundary.ts';
import { createSequencer, type Sequencer, type Taken } from '#read-model/transactions/sequencer.ts';

function message(offset: number, transaction: string | null): ConsumedMessage {
  const value =
    transaction === null ? null : Buffer.from(`{"after":{},"transaction":{"id":"${transaction}:${offset}","total_order":1},"op":"c"}`);
  return { offset: BigInt(offset), key: null, value, timestamp: 0, headers: {} };
}

const decoder = eventDecoder(undefined);
const named = (value: Buffer | null): string | null => transactionOf(decoder, value);

const collections = ['public.orders', 'public.order_items'];
const lanes = ['orders/0', 'orders/1', 'items/0'];
const collectionOf = (lane: string): string => (lane.startsWith('orders') ? 'public.orders' : 'public.order_items');

function sequencer(): Sequencer {
  const made = createSequencer(new Set(collections), named);
  for (const lane of lanes) made.addLane(lane, collectionOf(lane), 0n);
  return made;
}

function end(transaction: string, offset: number, counts: Readonly<Record<string, number>>) {
  return { transaction, offset: BigInt(offset), counts: new Map(Object.entries(counts)) };
}

function listed(taken: Taken | null): unknown {
  return taken === null
    ? null
    : Object.fromEntries([...taken.messages].map(([lane, messages]) => [lane, messages.map(({ offset }) => Number(offset))]));
}

test('a transaction is taken when its end and all of its events are there, with what the model does not mirror left out', () => {
  const some = sequencer();
  some.add('orders/0', [message(0, '7')], 1n);
  assert.equal(some.take(100), null);
  some.addEnd(end('7', 1, { 'public.orders': 1, 'public.order_items': 2, 'cdc.heartbeat': 1 }));
  assert.deepEqual([...(some.lacking() ?? [])], ['public.order_items']);
  some.add('items/0', [message(0, '7')], 1n);
  assert.equal(some.take(100), null);
  assert.equal(some.takenTo('orders/0'), 0n);
  some.add('items/0', [message(1, '7'), message(2, null), message(3, '8')], 5n);
  assert.deepEqual(listed(some.take(100)), { 'orders/0': [0], 'items/0': [0, 1, 2] });
  assert.deepEqual([some.takenTo('orders/0'), some.takenTo('items/0'), some.firstEnd()], [1n, 3n, null]);
});

test('events of a snapshot have no transaction and wait for none', () => {
  const some = sequencer();
  some.add('orders/1', [message(0, null), message(1, null), message(2, '9')], 3n);
  assert.deepEqual(listed(some.take(100)), { 'orders/1': [0, 1] });
  assert.equal(some.take(100), null);
});

test('a transaction whose end is gone comes before one whose end is known: it is passed on, and reported', () => {
  const some = sequencer();
  some.add('orders/0', [message(0, '5'), message(1, '6')], 2n);
  some.add('items/0', [message(0, '5')], 1n);
  some.addEnd(end('6', 0, { 'public.orders': 1, 'public.order_items': 1 }));
  const taken = some.take(100);
  assert.deepEqual(listed(taken), { 'orders/0': [0] });
  assert.deepEqual(taken?.torn, ['5']);
});

test('for want of memory the next transaction is taken in parts, and reported, and its later parts are known to belong to it', () => {
  const some = sequencer();
  some.add('items/0', [message(0, '5'), message(1, '5')], 2n);
  assert.deepEqual(some.takeTorn().torn, ['5']);
  assert.equal(some.bytes(), 0);
  some.addEnd(end('5', 0, { 'public.order_items': 3 }));
  assert.equal(some.take(100), null);
  some.add('items/0', [message(2, '5')], 3n);
  const rest = some.take(100);
  assert.deepEqual([listed(rest), rest?.torn], [{ 'items/0': [2] }, ['5']]);
});

test('what was applied before its end was asked for is given up without a word, what is lost with one', () => {
  const some = sequencer();
  some.addEnd(end('1', 0, { 'public.orders': 1 }));
  some.addEnd(end('2', 2, { 'public.orders': 2, 'public.order_items': 1 }));
  some.addEnd(end('3', 4, { 'public.orders': 1 }));
  some.add('items/0', [message(0, '2')], 1n);
  assert.deepEqual(some.giveUp(new Set(['public.orders']), 2n), { messages: new Map([['items/0', [message(0, '2')]]]), torn: ['2'] });
  assert.equal(some.firstEnd()?.transaction, '3');
});

test('whatever the partitions and the interleaving, transactions come whole and in the order in which they committed', () => {
  const history = fc.array(fc.array(fc.nat(lanes.length - 1), { maxLength: 5 }), { maxLength: 12 });
  fc.assert(
    fc.property(
      history,
      fc.array(fc.nat(lanes.length), { minLength: 80, maxLength: 80 }),
      fc.integer({ min: 1, max: 5 }),
      (transactions, picks, most) => {
        const some = sequencer();
        const written = lanes.map((): ConsumedMessage[] => []);
        const ends = transactions.map((events, index) => {
          const counts: Record<string, number> = {};
          for (const at of events) {
            const lane = written[at] ?? [];
            lane.push(message(lane.length, String(index)));
            const name = collectionOf(lanes[at] ?? '');
            counts[name] = (counts[name] ?? 0) + 1;
          }
          return end(String(index), index, counts);
        });
        const read = lanes.map(() => 0);
        const seen: string[] = [];
        const drain = (): void => {
          for (let taken = some.take(most); taken !== null; taken = some.take(most)) {
            assert.deepEqual(taken.torn, []);
            const whole = [...taken.messages.values()].flat().map(({ value }) => named(value) ?? '');
            for (const transaction of new Set(whole)) {
              assert.equal(whole.filter((one) => one === transaction).length, transactions[Number(transaction)]?.length);
            }
            seen.push(...[...new Set(whole)].toSorted((a, b) => Number(a) - Number(b)));
          }
        };
        let nextEnd = 0;
        const step = (pick: number): void => {
          const [lane, messages] = [lanes[pick], written[pick]];
          const one = messages?.[read[pick] ?? 0];
          if (lane === undefined) {
            const known = ends[nextEnd];
            nextEnd += 1;
            if (known !== undefined) some.addEnd(known);
          } else if (one !== undefined) {
            read[pick] = (read[pick] ?? 0) + 1;
            some.add(lane, [one], one.offset + 1n);
          }
          drain();
        };
        for (const pick of picks) step(pick);
        for (let pick = 0; pick <= lanes.length; pick += 1) for (let count = 0; count < 80; count += 1) step(pick);
        assert.deepEqual(
          seen,
          transactions.flatMap((events, index) => (events.length === 0 ? [] : [String(index)])),
        );
        assert.equal(some.bytes(), 0);
      },
    ),
    { numRuns: 500 },
  );
});

test('ends and events are read as Debezium writes them; the log position in the ids is no part of the name', () => {
  const value = Buffer.from(
    '{"status":"END","id":"101249:4141769112","event_count":3,"data_collections":[{"data_collection":"public.docs","event_count":3}],"ts_ms":1}',
  );
  const read = readEnd(decoder, { ...message(4, null), value });
  assert.deepEqual(read, end('101249', 4, { 'public.docs': 3 }));
  assert.equal(
    readEnd(decoder, { ...message(4, null), value: Buffer.from('{"status":"BEGIN","id":"1:2","data_collections":null}') }),
    null,
  );
  assert.equal(readEnd(decoder, { ...message(4, null), value: Buffer.from('junk') }), null);
  assert.equal(named(Buffer.from('{"transaction":{"id":"12:34","total_order":1}}')), '12');
  assert.equal(named(Buffer.from(JSON.stringify({ after: { note: '"transaction":{"id":"1:2"}' }, transaction: null }))), null);
});
