import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { countEvents, type CountInput } from '#comparison/events/count.ts';
import { longestCommonRun } from '#comparison/events/longest-run.ts';
import { matchKey, type LedgerChange } from '#comparison/events/match-key.ts';
import type { ObservedEvent } from '#comparison/observer/observed-event.ts';
import { eventOf, ledgerChange, observedEvent } from '#test/support/comparison.ts';

const none = { truncates: 0, tombstones: 0, windowStart: 0n, windowOpenedAt: 0, listedKeys: 1000 };

function count(input: Pick<CountInput, 'changes' | 'events'> & Partial<CountInput>): ReturnType<typeof countEvents>['counts'] {
  return countEvents({ ...none, ...input }).counts;
}

/** Histories of up to six keys; values repeat, so that equal states occur, in one transaction and across them. */
const history = fc
  .array(
    fc.record({ key: fc.integer({ min: 1, max: 6 }), state: fc.integer({ min: 0, max: 4 }), gone: fc.boolean(), sameTx: fc.boolean() }),
    {
      maxLength: 40,
    },
  )
  .map((steps): readonly LedgerChange[] => {
    const changes: (LedgerChange & { committed: boolean })[] = [];
    let txId = 100n;
    const latest = new Map<string, LedgerChange & { committed: boolean }>();
    for (const { key, state, gone, sameTx } of steps) {
      if (!sameTx) txId += 1n;
      const previous = latest.get(String(key));
      if (previous?.txId === txId) previous.committed = false;
      const after = gone ? null : `${key}:${state}`;
      const change = { ...ledgerChange({ key: String(key), txId, op: gone ? 'd' : 'u', after }), committed: true };
      latest.set(String(key), change);
      changes.push(change);
    }
    return changes;
  });

test('a complete set of events, in any order, leaves nothing lost, repeated or unexplained', () => {
  fc.assert(
    fc.property(
      history.chain((changes) => fc.tuple(fc.constant(changes), fc.shuffledSubarray([...changes], { minLength: changes.length }))),
      ([changes, shuffled]) => {
        const counts = count({ changes, events: shuffled.map(eventOf) });
        assert.equal(counts.states.lost.count + counts.deletes.lost.count, 0);
        assert.equal(counts.duplicates.count, 0);
        assert.equal(counts.unexplained.count, 0);
        assert.equal(counts.states.seen, counts.states.committed);
      },
    ),
  );
});

test('events in commit order are never called out of order', () => {
  fc.assert(
    fc.property(
      history.chain((changes) => fc.tuple(fc.constant(changes), fc.subarray([...changes]))),
      ([changes, subset]) => {
        assert.equal(count({ changes, events: subset.map(eventOf) }).outOfOrder.count, 0);
      },
    ),
  );
});

test('removing events finds exactly these lost, by key', () => {
  const distinct = history.map((changes) =>
    changes.map((change, index) => Object.assign({}, change, { committed: true, after: change.op === 'd' ? null : `state ${index}` })),
  );
  fc.assert(
    fc.property(
      distinct.chain((changes) => fc.tuple(fc.constant(changes), fc.subarray([...changes]))),
      ([changes, removed]) => {
        const gone = new Set(removed);
        const counts = count({ changes, events: changes.filter((change) => !gone.has(change)).map(eventOf) });
        const keysOf = (wanted: (change: LedgerChange) => boolean): string[] =>
          [...new Set(removed.filter(wanted).map(({ key }) => key))].toSorted();
        assert.equal(counts.states.lost.count, removed.filter(({ op }) => op !== 'd').length);
        assert.deepEqual(
          [...counts.states.lost.keys].toSorted(),
          keysOf(({ op }) => op !== 'd'),
        );
        assert.equal(counts.deletes.lost.count, removed.filter(({ op }) => op === 'd').length);
      },
    ),
  );
});

test('an event that comes twice is a repeat, and named', () => {
  const changes = [ledgerChange({ key: '7', txId: 1n, after: 'a' }), ledgerChange({ key: '7', txId: 2n, after: 'b' })];
  const counts = count({ changes, events: [...changes.map(eventOf), ...changes.slice(0, 1).map(eventOf)] });
  assert.deepEqual(counts.duplicates, { count: 1, keys: ['7'] });
  assert.equal(counts.unexplained.count, 0);
});

test('two equal states of one transaction are two changes, not a repeat', () => {
  const changes = [ledgerChange({ txId: 1n, after: 'a', committed: false }), ledgerChange({ txId: 1n, after: 'a' })];
  const counts = count({ changes, events: changes.map(eventOf) });
  assert.equal(counts.duplicates.count, 0);
  assert.deepEqual(counts.withinTransactions, { made: 1, seen: 1 });
});

test('one event for two equal states of a transaction is the one that others could see', () => {
  const changes = [ledgerChange({ txId: 1n, after: 'a', committed: false }), ledgerChange({ txId: 1n, after: 'a' })];
  const counts = count({ changes, events: changes.slice(0, 1).map(eventOf) });
  assert.equal(counts.states.lost.count, 0);
  assert.deepEqual(counts.withinTransactions, { made: 1, seen: 0 });
});

test('an older state after a newer one is out of order, once for each event that would have to move', () => {
  const changes = ['a', 'b', 'c', 'd'].map((after, index) => ledgerChange({ key: '3', txId: BigInt(index + 1), after }));
  const [a, b, c, d] = changes.map(eventOf);
  assert.ok(a && b && c && d);
  assert.deepEqual(count({ changes, events: [a, c, b, d] }).outOfOrder, { count: 1, keys: ['3'] });
  assert.equal(count({ changes, events: [d, c, b, a] }).outOfOrder.count, 3);
});

test('a lost first state and its later return are not out of order', () => {
  const changes = ['a', 'b', 'a'].map((after, index) => ledgerChange({ txId: BigInt(index + 1), after }));
  // Without transaction ids, as a savepoint's are unknown: only the states say which is which.
  const events = ['b', 'a'].map((after) => observedEvent({ after }));
  assert.equal(matchKey(changes, events).outOfOrder, 0);
});

test('an event of a row written under a savepoint matches by its state', () => {
  const change = ledgerChange({ txId: 10n, after: 'a' });
  const { matches, unexplained } = matchKey([change], [observedEvent({ txId: 11n, after: 'a' })]);
  assert.equal(matches.length, 1);
  assert.equal(unexplained.length, 0);
});

test('a 32-bit transaction id of the log is the ledger’s 64-bit one', () => {
  const change = ledgerChange({ txId: 2n ** 32n + 5n, after: 'a', committed: true });
  const other = ledgerChange({ txId: 2n ** 32n + 4n, after: 'a', committed: true });
  const { matches } = matchKey([other, change], [observedEvent({ txId: 5n, after: 'a' })]);
  assert.equal(matches[0]?.change, change);
});

test('an event without some columns matches the state that has the others', () => {
  const change = ledgerChange({ txId: 1n, after: 'whole', partialAfter: new Map([['body', 'part']]) });
  const counts = count({ changes: [change], events: [observedEvent({ txId: 1n, after: 'part', missing: ['body'] })] });
  assert.equal(counts.states.seen, 1);
  assert.equal(counts.outOfOrder.count, 0);
});

test('a state that never was is unexplained, but not when its transaction had ended before the run', () => {
  const events = [observedEvent({ key: '5', txId: 50n, after: 'old' }), observedEvent({ key: '6', txId: 150n, after: 'wrong' })];
  assert.deepEqual(count({ changes: [], events, windowStart: 100n }).unexplained, { count: 1, keys: ['6'] });
});

test('changes before the window explain events and count nowhere', () => {
  const change = ledgerChange({ txId: 120n, after: 'a', inWindow: false });
  const counts = count({ changes: [change], events: [eventOf(change)], windowStart: 100n });
  assert.equal(counts.unexplained.count, 0);
  assert.deepEqual(counts.states, { committed: 0, superseded: 0, seen: 0, lost: { count: 0, keys: [] } });
  assert.equal(count({ changes: [change], events: [] }).states.lost.count, 0);
});

test('before-images are complete only when they are the whole row that was', () => {
  const changes = ['b', 'c', 'd'].map((after, index) => ledgerChange({ txId: BigInt(index + 1), after, before: `before ${after}` }));
  const befores = ['before b', 'key only', null];
  const events = changes.map((change, index) => observedEvent({ txId: change.txId, after: change.after, before: befores[index] ?? null }));
  assert.deepEqual(count({ changes, events }).beforeImages, { complete: 1, incomplete: 1, absent: 1 });
});

test('only states that were replaced count as ones that could be missed', () => {
  const changes = [
    ledgerChange({ key: '1', txId: 1n, after: 'a' }),
    ledgerChange({ key: '1', txId: 2n, after: 'b' }),
    ledgerChange({ key: '1', txId: 3n, op: 'd' }),
    ledgerChange({ key: '2', txId: 4n, after: 'c' }),
  ];
  assert.equal(count({ changes, events: [] }).states.superseded, 2);
});

test('the longest common run is that of a plain search', () => {
  const letters = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 9 });
  fc.assert(
    fc.property(letters, letters, (truth, seen) => {
      assert.equal(longestCommonRun(truth, seen), plainLongestCommonRun(truth, seen));
    }),
  );
});

function plainLongestCommonRun(a: readonly string[], b: readonly string[]): number {
  const [first, ...rest] = a;
  if (first === undefined || b.length === 0) return 0;
  const at = b.indexOf(first);
  const skipped = plainLongestCommonRun(rest, b);
  return at < 0 ? skipped : Math.max(skipped, 1 + plainLongestCommonRun(rest, b.slice(at + 1)));
}

function changeAt(key: string, op: 'c' | 'u' | 'd', txId: bigint): LedgerChange {
  return ledgerChange({ key, op, txId, after: op === 'd' ? null : `${key}@${txId}` });
}

test('a delete of a row that came and went unseen is counted apart from one that leaves a ghost', () => {
  const changes = [
    changeAt('unseen', 'c', 1n),
    changeAt('unseen', 'u', 2n),
    changeAt('unseen', 'd', 3n),
    changeAt('seen', 'c', 4n),
    changeAt('seen', 'd', 5n),
    // Was there before: nobody knows whether it was seen.
    changeAt('old', 'd', 6n),
    { ...changeAt('before', 'c', 6n), inWindow: false },
    changeAt('before', 'd', 7n),
    changeAt('twice', 'c', 7n),
    changeAt('twice', 'd', 8n),
    changeAt('twice', 'c', 9n),
    changeAt('twice', 'd', 10n),
  ];
  const events = changes.filter(({ key, txId, op }) => op !== 'd' && (key === 'seen' || txId === 9n)).map(eventOf);
  const { deletes } = count({ changes, events });
  assert.deepEqual(deletes.lost, { count: 6, keys: ['unseen', 'seen', 'old', 'before', 'twice'] });
  assert.deepEqual(deletes.ofUnseen, { count: 2, keys: ['unseen', 'twice'] });
});

test('deletes of unseen rows are lost deletes, and with every event there are none', () => {
  fc.assert(
    fc.property(history, fc.infiniteStream(fc.boolean()), (changes, kept) => {
      const some = changes.filter(() => kept.next().value).map(eventOf);
      const { deletes } = count({ changes, events: some });
      assert.ok(deletes.ofUnseen.count <= deletes.lost.count);
      assert.ok(deletes.ofUnseen.keys.every((key) => deletes.lost.keys.includes(key)));
      assert.equal(count({ changes, events: changes.map(eventOf) }).deletes.ofUnseen.count, 0);
    }),
  );
});

function swept(receivedAt: number): ObservedEvent {
  return observedEvent({ key: '1', op: 'd', txId: null, receivedAt });
}

test('a delete that a sweep found before the window opened is old, one that nobody made in the window is not', () => {
  assert.equal(count({ changes: [], events: [swept(9)], windowOpenedAt: 10 }).unexplained.count, 0);
  assert.equal(count({ changes: [], events: [swept(11)], windowOpenedAt: 10 }).unexplained.count, 1);
});
