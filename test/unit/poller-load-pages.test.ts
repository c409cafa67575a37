import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, asyncProperty, assert as check, boolean, constantFrom, integer, option, record } from 'fast-check';
import { defaultLoadWorkers, type LoadThreads } from '#cdc-poller/load/load-threads.ts';
import { loadPages, type LoadContext } from '#cdc-poller/load/load-pages.ts';
import type { LoadedPage, PageTask } from '#cdc-poller/load/messages.ts';
import type { Cursor, Pass } from '#cdc-poller/fence/pass.ts';
import type { PageReader } from '#cdc-poller/table/pages/page.ts';

const load: Pass = { kind: 'load', from: null, below: 0n, horizon: null, nextHorizon: 0n, cursor: null };

function after(cursor: Cursor | null): number {
  return cursor === null ? -Infinity : Number(cursor[0]);
}

/** A table of numbers that changes while it is read, and threads that read it; a page answers when it likes. */
function scene(present: Set<number>, options: { readonly threads: number; readonly failsAt: number; readonly change: () => void }) {
  const given: number[] = [];
  const returned = new Set<LoadedPage>();
  let asked = 0;
  let ended = 0;
  const slice = (cursor: Cursor | null, until: Cursor | null, limit: number): readonly number[] =>
    [...present]
      .filter((row) => row > after(cursor) && (until === null || row <= after(until)))
      .toSorted((a, b) => a - b)
      .slice(0, limit);
  const loading: LoadThreads = {
    threads: options.threads,
    async read({ pass, until, limit }: PageTask) {
      asked += 1;
      if (asked === options.failsAt) throw new Error('cut off');
      for (let turns = Math.floor(Math.random() * 4); turns > 0; turns -= 1) await Promise.resolve();
      options.change();
      const rows = slice(pass.cursor, until, limit);
      const last = rows.at(-1);
      const page: LoadedPage = {
        rows: rows.length,
        characters: rows.length,
        cursor: last === undefined ? null : [String(last)],
        published: rows.length,
        witnesses: [],
        keys: rows.map(String),
        largest: 1,
        batches: [],
      };
      return page;
    },
    sent: (page) => void returned.add(page),
    [Symbol.asyncDispose]: async () => {
      ended += 1;
    },
  };
  const alone: PageReader = {
    async read({ cursor }, limit) {
      options.change();
      const rows = slice(cursor, null, limit);
      const last = rows.at(-1);
      return {
        rows: rows.length,
        isLast: rows.length < limit,
        characters: rows.length,
        cursor: last === undefined ? null : [String(last)],
        encode: async () => ({
          published: rows.length,
          remembered: [],
          late: 0n,
          witnesses: [],
          send: async () => void given.push(...rows),
        }),
      };
    },
  };
  return { given, returned, loading, alone, slice, counts: () => ({ asked, ended }) };
}

test('whatever comes and goes meanwhile, a load by threads gives each row that stays once, in order, also when a thread fails', async () => {
  let byThreads = 0;
  await check(
    asyncProperty(
      record({
        rows: integer({ min: 0, max: 120 }),
        threads: integer({ min: 2, max: 4 }),
        limit: integer({ min: 1, max: 9 }),
        failsAt: option(integer({ min: 1, max: 30 }), { nil: 0 }),
        changes: array(record({ row: integer({ min: 0, max: 130 }), burst: integer({ min: 1, max: 40 }), isDelete: boolean() }), {
          maxLength: 60,
        }),
        lookupFails: constantFrom(0, 0, 0, 2),
      }),
      async ({ rows, threads, limit, failsAt, changes, lookupFails }) => {
        // Hundreds are there from the beginning; what comes is between two of them, many at once.
        const present = new Set(Array.from({ length: rows }, (_, index) => index * 100));
        const stays = new Set(present);
        const left = [...changes];
        const change = (): void => {
          const next = left.shift();
          if (next === undefined) return;
          if (next.isDelete) for (const set of [present, stays]) set.delete(next.row * 100);
          else for (let at = 1; at <= next.burst; at += 1) present.add(next.row * 100 + at);
        };
        const { given, returned, loading, alone, slice, counts } = scene(present, { threads, failsAt, change });
        let lookups = 0;
        const context: Pick<LoadContext, 'loadThreads' | 'logger'> & {
          readonly session: unknown;
          readonly shape: unknown;
          readonly publisher: unknown;
        } = {
          loadThreads: { start: () => Promise.resolve(loading), onRead: () => undefined },
          logger: { info: () => undefined, warn: () => undefined },
          shape: { relation: { oid: '1', file: '1', columnsHash: '', keyIndex: '' } },
          session: {
            async query(text: string) {
              lookups += 1;
              if (lookups === lookupFails) throw new Error('no look-up');
              const [cursor, pageRows = 1, count = 1]: [string | null, number, number] = JSON.parse(text);
              const found = slice(cursor === null ? null : [cursor], null, pageRows * count);
              return found.filter((_, index) => (index + 1) % pageRows === 0).map((row) => [String(row)]);
            },
          },
          publisher: {
            wantsKeys: true,
            partitions: () => Promise.resolve(3),
            sendRecords: async (_: unknown, keys: readonly string[]) => void given.push(...keys.map(Number)),
          },
        };
        // Of what a pass works with, a load's pages use no more than this.
        const reader = loadPages(
          Object.assign(Object.create(null), context, { oversize: null }),
          alone,
          (_shape, pass, pageRows, count) => ({ text: JSON.stringify([pass.cursor?.[0] ?? null, pageRows, count]), values: [] }),
          false,
          1,
        );
        let { cursor } = load;
        for (;;) {
          const page = await reader.read({ ...load, cursor }, limit);
          const encoded = await page.encode({ pass: load, hasRepair: false, fresh: 0 });
          await encoded.send();
          assert.ok(page.cursor === null || after(page.cursor) >= after(cursor), 'the cursor never goes back');
          cursor = page.cursor ?? cursor;
          const reached = after(cursor);
          // What a process that is killed here would never look at again.
          assert.deepEqual(
            [...stays].filter((row) => row <= reached && !given.includes(row)),
            [],
            'rows before the cursor',
          );
          if (page.isLast) break;
        }
        await reader.close?.();
        assert.deepEqual(
          given,
          [...new Set(given)].toSorted((a, b) => a - b),
          'each once and in order',
        );
        assert.deepEqual(
          [...stays].filter((row) => !given.includes(row)),
          [],
          'rows that stayed',
        );
        if (returned.size > 0) byThreads += 1;
        if (counts().asked > 0) assert.equal(counts().ended, 1, 'the threads are ended once');
      },
    ),
    { numRuns: 1000 },
  );
  assert.ok(byThreads > 100, `only ${byThreads} loads were read by threads`);
});

test('threads by default: none on up to three processors, four at most', () => {
  assert.deepEqual([1, 2, 3, 4, 8, 64].map(defaultLoadWorkers), [1, 1, 1, 2, 4, 4]);
});
