import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { array, assert as check, asyncProperty, constantFrom, integer } from 'fast-check';
import { dialectOf } from '#cdc-poller/dialects.ts';
import type { SourceSession } from '#cdc-poller/source/dialect.ts';
import { shareSessions } from '#cdc-poller/source/shared-sessions.ts';

type Connection = SourceSession & { readonly ended: () => boolean; readonly users: () => number };

/** A connection that counts who uses it at the same time; a query "fail" fails. */
function connection(): Connection {
  let users = 0;
  let ended = false;
  const query = async (text: string): Promise<string[][]> => {
    assert.ok(!ended, 'a query on an ended connection');
    users += 1;
    assert.equal(users, 1, 'two tables use a connection at the same time');
    await turn();
    users -= 1;
    if (text === 'fail') throw new Error('failed');
    return [[text]];
  };
  return {
    dialect: dialectOf({}),
    query,
    page: ({ text }) => query(text),
    describe: () => Promise.resolve([]),
    observe: () => Promise.reject(new Error('not asked')),
    ended: () => ended,
    users: () => users,
    [Symbol.asyncDispose]: () => {
      ended = true;
      return Promise.resolve();
    },
  };
}

const never = new AbortController().signal;

describe('connections that tables share', () => {
  test('whatever tables ask, fail and rest, there are never more than allowed, nobody shares one at a time, everybody gets a turn, and all are ended', async () => {
    const script = array(array(constantFrom('ask', 'fail', 'rest'), { maxLength: 8 }), { minLength: 1, maxLength: 12 });
    await check(
      asyncProperty(script, integer({ min: 1, max: 4 }), async (tables, most) => {
        const opened: Connection[] = [];
        const shared = shareSessions(most, () => {
          const one = connection();
          opened.push(one);
          assert.ok(opened.filter(({ ended }) => !ended()).length <= most, 'more connections than allowed');
          return Promise.resolve(one);
        });
        await Promise.all(
          tables.map(async (steps) => {
            await using session = await shared.take(never);
            for (const step of steps) {
              if (step === 'rest') await session.rest?.();
              else if (step === 'ask') assert.deepEqual(await session.query('ask'), [['ask']]);
              else await assert.rejects(session.query('fail'));
            }
          }),
        );
        await shared[Symbol.asyncDispose]();
        assert.ok(opened.every(({ ended }) => ended()));
      }),
    );
  });

  test('the table that waits longest is next', async () => {
    const shared = shareSessions(1, () => Promise.resolve(connection()));
    const first = await shared.take(never);
    const order: string[] = [];
    const waiting = ['a', 'b', 'c'].map(async (name) => {
      const session = await shared.take(never);
      order.push(name);
      await session.rest?.();
    });
    await first.rest?.();
    await Promise.all(waiting);
    assert.deepEqual(order, ['a', 'b', 'c']);
  });

  test('a connection on which something failed goes to nobody else', async () => {
    const opened: Connection[] = [];
    const shared = shareSessions(1, () => {
      const one = connection();
      opened.push(one);
      return Promise.resolve(one);
    });
    const one = await shared.take(never);
    await assert.rejects(one.query('fail'));
    await using other = await shared.take(never);
    await other.query('ask');
    assert.deepEqual(
      opened.map(({ ended }) => ended()),
      [true, false],
    );
  });

  test('who stops waiting takes no turn, and a connection that cannot be opened leaves its place', async () => {
    let answers = false;
    const shared = shareSessions(1, () => (answers ? Promise.resolve(connection()) : Promise.reject(new Error('no server'))));
    await assert.rejects(shared.take(never), /no server/);
    answers = true;
    const held = await shared.take(never);
    const stopping = new AbortController();
    const waiting = shared.take(stopping.signal);
    stopping.abort(new Error('stopped'));
    await assert.rejects(waiting, /stopped/);
    const next = shared.take(never);
    await held[Symbol.asyncDispose]();
    await (await next).query('ask');
  });

  test('whoever stops just as its turn comes takes no other’s place in the queue', async () => {
    for (let ticks = 0; ticks < 8; ticks += 1) {
      const shared = shareSessions(1, () => Promise.resolve(connection()));
      const held = await shared.take(never);
      const stopping = new AbortController();
      const first = shared.take(stopping.signal).then(
        (session) => session[Symbol.asyncDispose](),
        (error: unknown) => assert.match(String(error), /stopped/),
      );
      const second = shared.take(never);
      const resting = held.rest?.();
      for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
      stopping.abort(new Error('stopped'));
      await Promise.all([resting, first]);
      await turn();
      const next = await Promise.race([second, turn(null)]);
      assert.deepEqual(await next?.query('ask'), [['ask']], `stopped after ${ticks} ticks`);
    }
  });
});
