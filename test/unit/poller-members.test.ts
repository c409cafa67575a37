import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MemberThread } from '#cdc-poller/members/member-threads.ts';
import { allMembers, together } from '#cdc-poller/members/members.ts';
import { createTableMonitor } from '#cdc-poller/metrics/table-monitor.ts';

const nothing = { tables: [], slots: new Map<string, number>() };
const noFigures = { poller: 'p', sharing: 'group', member: true, tables: [] } as const;
const never = Promise.withResolvers<never>().promise;

function thread(number: number, parts: Partial<MemberThread>): MemberThread {
  return {
    number,
    failed: never,
    offer: () => Promise.resolve(),
    figures: () => Promise.resolve(noFigures),
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...parts,
  };
}

const main = { offer: () => Promise.resolve(), figures: () => noFigures, ended: never, context: { refused: new Map() } };

const published = (table: string, rowsPublished: number) => ({ ...createTableMonitor(table, 1000).figures(), rowsPublished });

test('figures of several threads are those of one process: a member where all are, each table once', () => {
  const own = { poller: 'p', sharing: 'group', member: true, tables: [published('public.a', 1), published('public.b', 2)] } as const;
  const other = { ...own, tables: [published('public.b', 3), published('public.c', 4)] } as const;
  const { member, tables } = together(own, [other]);
  assert.equal(member, true);
  assert.deepEqual(
    tables.map(({ table, rowsPublished }) => [table, rowsPublished]),
    [
      ['public.a', 1],
      ['public.b', 3],
      ['public.c', 4],
    ],
  );
  assert.equal(together(own, [{ ...other, member: false }]).member, false);
  assert.equal(together({ ...own, member: null }, []).member, null);
});

test('an offer that fails in one thread is over when it is over in all: who is offered again while it joins would join twice', async () => {
  const slow = Promise.withResolvers<void>();
  const members = allMembers(main, [
    thread(2, { offer: () => Promise.reject(new Error('Kafka is away')) }),
    thread(3, { offer: () => slow.promise }),
  ]);
  let over = false;
  const offered = members.offer(nothing).finally(() => {
    over = true;
  });
  offered.catch(() => undefined);
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  assert.equal(over, false);
  slow.resolve();
  await assert.rejects(offered, { message: 'Kafka is away' });
});

test('a thread that does not answer is named, and shown as it was', async () => {
  let answers = true;
  const tables = [published('public.a', 1)];
  const members = allMembers(main, [thread(2, { figures: () => Promise.resolve(answers ? { ...noFigures, tables } : null) })]);
  assert.deepEqual(await members.look(), { figures: { ...noFigures, tables }, silent: [] });
  answers = false;
  assert.deepEqual(await members.look(), { figures: { ...noFigures, tables }, silent: ['thread 2 does not answer'] });
});
