import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import { leaveAlone, parallel, sequence, type Resource } from '#stack/resource.ts';

/** A resource that writes down what is done to it. `fails` makes `up` reject after as long. */
function recorded(journal: string[], name: string, options: { after?: number; fails?: boolean; downFails?: boolean } = {}): Resource {
  let isUp = false;
  return {
    name,
    up: async (signal) => {
      await delay(options.after ?? 0, undefined, { signal });
      if (options.fails === true) throw new Error(`${name} cannot start`);
      isUp = true;
      journal.push(`+${name}`);
    },
    down: async () => {
      if (!isUp) return;
      isUp = false;
      journal.push(`-${name}`);
      if (options.downFails === true) throw new Error(`${name} will not stop.`);
    },
    healthCheck: async () => (isUp ? { healthy: true } : { healthy: false, detail: 'not running' }),
  };
}

const never = new AbortController().signal;

test('a sequence goes up in order and down in reverse', async () => {
  const journal: string[] = [];
  const all = sequence('all', [recorded(journal, 'a', { after: 5 }), recorded(journal, 'b'), recorded(journal, 'c')]);
  await all.up(never);
  await all.down();
  assert.deepEqual(journal, ['+a', '+b', '+c', '-c', '-b', '-a']);
});

test('a failure in the middle of a sequence brings down what was up, in reverse, and nothing else', async () => {
  const journal: string[] = [];
  const bad = recorded(journal, 'bad', { fails: true });
  const all = sequence('all', [recorded(journal, 'a'), recorded(journal, 'b'), bad, recorded(journal, 'd')]);
  await assert.rejects(all.up(never), /bad cannot start/);
  assert.deepEqual(journal, ['+a', '+b', '-b', '-a']);
});

test('an abort in the middle of a sequence brings down what was up', async () => {
  const journal: string[] = [];
  const abort = new AbortController();
  const slow = recorded(journal, 'slow', { after: 60_000 });
  const up = sequence('all', [recorded(journal, 'a'), slow]).up(abort.signal);
  setTimeout(() => abort.abort(new Error('Ctrl-C')), 5);
  await assert.rejects(up);
  assert.deepEqual(journal, ['+a', '-a']);
});

test('a failure among parallel ones aborts those still starting, and brings down those that are up', async () => {
  const journal: string[] = [];
  const resources = [
    recorded(journal, 'quick'),
    recorded(journal, 'bad', { after: 10, fails: true }),
    recorded(journal, 'slow', { after: 60_000 }),
  ];
  await assert.rejects(parallel('all', resources).up(never), /bad cannot start/);
  assert.deepEqual(journal, ['+quick', '-quick']);
});

test('a failure after a parallel group takes back the whole group', async () => {
  const journal: string[] = [];
  const group = parallel('group', [recorded(journal, 'a'), recorded(journal, 'b', { after: 5 })]);
  await assert.rejects(sequence('all', [group, recorded(journal, 'bad', { fails: true })]).up(never), /bad cannot start/);
  assert.deepEqual(journal.toSorted(), ['+a', '+b', '-a', '-b']);
});

test('what was up before is not brought down by a failed start', async () => {
  const journal: string[] = [];
  const before = recorded(journal, 'before');
  await before.up(never);
  await assert.rejects(sequence('all', [leaveAlone(before), recorded(journal, 'bad', { fails: true })]).up(never), /bad/);
  assert.deepEqual(await before.healthCheck(), { healthy: true });
});

test('one that will not go down does not keep the others up, and is named', async () => {
  for (const compose of [sequence, parallel]) {
    const journal: string[] = [];
    const all = compose('all', [recorded(journal, 'a'), recorded(journal, 'stuck', { downFails: true }), recorded(journal, 'c')]);
    await all.up(never);
    await assert.rejects(all.down(), /stuck will not stop/);
    assert.deepEqual(journal.filter((entry) => entry.startsWith('-')).toSorted(), ['-a', '-c', '-stuck']);
  }
});

test('when taking back fails too, both reasons are reported', async () => {
  const journal: string[] = [];
  const all = sequence('all', [recorded(journal, 'stuck', { downFails: true }), recorded(journal, 'bad', { fails: true })]);
  await assert.rejects(all.up(never), { code: 'STACK_STOP_FAILED', message: /bad cannot start.*stuck will not stop/ });
});

test('health of a composition names who is ill', async () => {
  const journal: string[] = [];
  const a = recorded(journal, 'a');
  const all = sequence('all', [a, parallel('pair', [recorded(journal, 'b'), recorded(journal, 'c')])]);
  await a.up(never);
  assert.deepEqual(await all.healthCheck(), { healthy: false, detail: 'pair: b: not running; c: not running' });
  await all.up(never);
  assert.deepEqual(await all.healthCheck(), { healthy: true });
});
