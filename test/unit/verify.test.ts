import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { assert as assertProperty, asyncProperty, dictionary, integer, record, string } from 'fast-check';
import type { ReadRow, TableRows } from '#cdc-poller/rows.ts';
import { pipelineSchema } from '#pipeline/index.ts';
import { confirm } from '#verify/confirm.ts';
import { imageOf, judge, type Suspect } from '#verify/difference.ts';
import { comparedColumns, deleteDelay, strategyOf } from '#verify/plan.ts';
import { renderResults } from '#verify/render.ts';
import { outcomeOf, Tally } from '#verify/result.ts';
import { canonicalText, isSameRow, keyName, keyText, toSourceKey } from '#verify/values.ts';
import { walk, type Pair } from '#verify/walk.ts';

/** A table in memory: what is under each key now, and its version. */
type Rows = Map<string, { readonly value: number; readonly version?: string }>;

/** Answers like a database: pages in an order of its own. */
function tableOf(rows: Rows, descending = false): TableRows {
  const toRow = (key: string): ReadRow[] => {
    const row = rows.get(key);
    return row === undefined
      ? []
      : [{ key: [key], keyValues: [JSON.stringify(key)], values: [String(row.value)], version: row.version ?? null }];
  };
  return {
    async *pages(maxRows) {
      const keys = [...rows.keys()].toSorted((a, b) => (a < b ? -1 : 1) * (descending ? -1 : 1));
      for (let from = 0; from <= keys.length; from += maxRows) yield keys.slice(from, from + maxRows).flatMap(toRow);
    },
    byKeys: async (keys) => keys.flatMap(([key = '']) => toRow(key)),
  };
}

function pairOf(source: Rows, mirror: Rows): Pair {
  const [there, here] = [tableOf(source), tableOf(mirror, true)];
  const column = { name: 'value', kind: 'integer', array: false } as const;
  const key = [{ name: 'id', kind: 'text', array: false }] as const;
  return {
    columns: [column],
    source: there,
    mirror: here,
    sourceKeys: there,
    mirrorKeys: here,
    nameOf: ({ keyValues }) => keyName(key, new Set(), keyValues),
    textOf: ({ keyValues }) => keyText(['id'], keyValues),
    toMirror: (row) => row.key,
    toSource: (row) => row.key,
  };
}

async function suspectsOf(pair: Pair, pageRows: number): Promise<readonly Suspect[]> {
  const found: Suspect[] = [];
  for await (const page of walk(pair, pageRows)) found.push(...page.suspects);
  return found;
}

const still = { clock: async () => 0n, untilComplete: async () => null, signal: new AbortController().signal };

test('of any two sets of rows, exactly the symmetric difference is named, whatever the pages and the order of the keys', async () => {
  const rows = dictionary(string({ maxLength: 3 }), record({ value: integer({ min: 0, max: 2 }) }), {
    maxKeys: 30,
    noNullPrototype: true,
  });
  await assertProperty(
    asyncProperty(rows, rows, integer({ min: 1, max: 7 }), async (left, right, pageRows) => {
      const [source, mirror] = [new Map(Object.entries(left)), new Map(Object.entries(right))];
      const pair = pairOf(source, mirror);
      const { differences, open } = await confirm(await suspectsOf(pair, pageRows), { pair, ...still });
      const wanted = [...new Set([...source.keys(), ...mirror.keys()])].flatMap((key) => {
        const [here, there] = [source.get(key)?.value, mirror.get(key)?.value];
        if (here === there) return [];
        return [`${there === undefined ? 'missing' : here === undefined ? 'ghost' : 'stale'} ${key}`];
      });
      assert.deepEqual(differences.map(({ kind, key }) => `${kind} ${key}`).toSorted(), wanted.toSorted());
      assert.deepEqual(open, []);
    }),
    { numRuns: 300 },
  );
});

suite('a difference counts at a known position only', () => {
  const suspect: Suspect = { name: '["a"]', key: 'a', sourceKey: ['a'], mirrorKey: ['a'] };

  test('what the model has once it is complete is no difference', async () => {
    const [source, mirror]: Rows[] = [new Map([['a', { value: 2, version: '9' }]]), new Map([['a', { value: 1 }]])];
    const pair = pairOf(source ?? new Map(), mirror ?? new Map());
    const untilComplete = async (): Promise<null> => {
      mirror?.set('a', { value: 2 });
      return null;
    };
    const { differences } = await confirm([suspect], { ...still, pair, untilComplete });
    assert.deepEqual(differences, []);
  });

  test('a row that moves is looked at again, and given up when it always does', async () => {
    const source: Rows = new Map([['a', { value: 1, version: '1' }]]);
    const mirror: Rows = new Map([['a', { value: 0 }]]);
    let moves = 0;
    const moving = (most: number) => async (): Promise<null> => {
      if (moves < most) source.set('a', { value: 1, version: String((moves += 1) + 1) });
      return null;
    };
    const pair = pairOf(source, mirror);
    const settled = await confirm([suspect], { ...still, pair, untilComplete: moving(3) });
    assert.deepEqual(
      settled.differences.map(({ kind }) => kind),
      ['stale'],
    );
    moves = 0;
    const never = await confirm([suspect], { ...still, pair, untilComplete: moving(Number.POSITIVE_INFINITY) });
    assert.deepEqual(never.differences, []);
    assert.deepEqual(never.open, [suspect]);
    assert.match(never.why ?? '', /changed in each of 12 looks/);
  });

  test('a row that changed and changed back between two looks has another version, and is looked at again', async () => {
    const source: Rows = new Map([['a', { value: 1, version: '1' }]]);
    const mirror: Rows = new Map([['a', { value: 0 }]]);
    let looks = 0;
    const untilComplete = async (): Promise<null> => {
      looks += 1;
      // The mirror is read while it has the state between.
      mirror.set('a', { value: looks === 1 ? 2 : 1 });
      if (looks === 1) source.set('a', { value: 1, version: '3' });
      return null;
    };
    assert.deepEqual((await confirm([suspect], { ...still, pair: pairOf(source, mirror), untilComplete })).differences, []);
    assert.equal(looks, 2);
  });

  test('nothing is waited for where it would change nothing: rows that have come since, and ghosts that are no news', async () => {
    let waits = 0;
    const untilComplete = async (): Promise<null> => {
      waits += 1;
      return null;
    };
    const ghost = { pair: pairOf(new Map(), new Map([['a', { value: 1 }]])), untilComplete };
    const expected = await confirm([suspect], { ...still, ...ghost, isExpected: ({ kind }) => kind === 'ghost' });
    assert.deepEqual(
      expected.differences.map(({ kind }) => kind),
      ['ghost'],
    );
    const come = new Map([['a', { value: 1, version: '1' }]]);
    assert.deepEqual((await confirm([suspect], { ...still, pair: pairOf(come, come), untilComplete })).differences, []);
    assert.equal(waits, 0);
    assert.equal((await confirm([suspect], { ...still, ...ghost })).differences.length, 1);
    assert.ok(waits > 0, 'a ghost that should not be there is looked at when the model is complete');
  });

  test('a key that came and went between two looks is no ghost; without versions nothing is believed at once', async () => {
    const mirror: Rows = new Map([['a', { value: 1 }]]);
    let looks = 0;
    const untilComplete = async (): Promise<null> => {
      looks += 1;
      if (looks === 2) mirror.delete('a');
      return null;
    };
    assert.deepEqual((await confirm([suspect], { ...still, pair: pairOf(new Map(), mirror), untilComplete })).differences, []);
  });

  test('a ghost that a sweep may still remove is looked at until then', async () => {
    const mirror: Rows = new Map([['a', { value: 1 }]]);
    let asked = 0;
    const mayPass = (): boolean => {
      asked += 1;
      if (asked === 2) mirror.clear();
      return true;
    };
    assert.deepEqual((await confirm([suspect], { ...still, pair: pairOf(new Map(), mirror), mayPass })).differences, []);
  });

  test('a model that does not become complete leaves all open, with the reason', async () => {
    const pair = pairOf(new Map(), new Map([['a', { value: 1 }]]));
    const found = await confirm([suspect], { ...still, pair, untilComplete: async () => 'it stopped' });
    assert.deepEqual(found, { differences: [], open: [suspect], why: 'it stopped', isLate: true });
  });
});

test('a value that is lost on the way counts only where nothing else differs, and only as the source has it', () => {
  const two = ['a', 'b'].map((name) => ({ name, kind: 'text', array: false }) as const);
  const image = (...values: readonly string[]) => imageOf(two, { version: '1', values }, (column, text) => column === 'a' && text !== '"kept"');
  const said = (source: readonly string[], mirror: readonly string[]): unknown => {
    const [before, there] = [image(...source), image(...mirror)];
    const found = judge(two, { key: 'k' }, { before, mirror: there, after: before });
    return typeof found === 'string' ? found : [found.kind, found.columns.map(({ name }) => name).join()];
  };
  assert.deepEqual(said(['"x"', '"y"'], ['"x"', '"y"']), 'same');
  assert.deepEqual(said(['"x"', '"y"'], ['null', '"y"']), ['notComparable', 'a']);
  assert.deepEqual(said(['"x"', '"y"'], ['null', '"z"']), ['stale', 'b']);
  assert.deepEqual(said(['"kept"', '"y"'], ['"x"', '"y"']), ['stale', 'a']);
  const tally = new Tally(5);
  tally.add([{ kind: 'notComparable', key: 'k', columns: [{ name: 'a', source: '"x"', mirror: 'null' }] }]);
  assert.equal(outcomeOf({ ...tally.found(), ghostsExpected: false }), 'equal');
  assert.deepEqual([tally.found().stale.columns, tally.found().notComparable.columns], [{}, { a: 1 }]);
}); // prettier-ignore

const keyColumn = (kind: 'numeric' | 'text') => ({ name: 'k', kind, array: false }) as const;

const sourceKey = (kind: 'bytea' | 'timestamptz' | 'boolean' | 'text', text: string, dialect: 'mariadb' | 'postgres' | 'h2'): unknown =>
  toSourceKey([{ name: 'k', kind, array: false }], dialect)({ key: [text], keyValues: [], values: [], version: null });

suite('values mean the same', () => {
  const cases: readonly (readonly [kind: Parameters<typeof canonicalText>[0]['kind'], one: string, other: string, same: boolean])[] = [
    ['numeric', '"1.50"', '"1.5"', true],
    ['numeric', '"1.50"', '"1.51"', false],
    ['numeric', '"NAN"', '"NAN"', true],
    ['timestamp', '"2026-11-22T15:00:00.100Z"', '"2026-11-22T15:00:00.1Z"', true],
    ['timestamp', '"2026-11-22T15:00:00.100001Z"', '"2026-11-22T15:00:00.1Z"', false],
    ['json', '"{\\"b\\":1,\\"a\\":[2]}"', '"{\\"a\\": [2], \\"b\\": 1}"', true],
    ['boolean', '1', 'true', true],
    ['boolean', '0', 'true', false],
    ['float', '1.0E10', '10000000000', true],
    ['integer', '9007199254740993', '9007199254740992', false],
    ['text', '"a "', '"a"', false],
    ['text', 'null', '"null"', false],
    ['text', 'null', '""', false],
    ['bytea', '"3q2+7w=="', '"3q2+7w=="', true],
  ];
  for (const [kind, one, other, same] of cases)
    test(`${kind} ${one} and ${other}: ${same ? 'one value' : 'two values'}`, () => {
      const column = { name: 'c', kind, array: false } as const;
      assert.equal(isSameRow([column], [one], [other]), same);
      assert.equal(canonicalText(column, one) === canonicalText(column, other), same);
    });

  test('a key has one name on both sides', () => {
    assert.equal(keyName([keyColumn('numeric')], new Set(), ['"1.00"']), keyName([keyColumn('numeric')], new Set(), ['"1"']));
    assert.equal(keyName([keyColumn('text')], new Set(['k']), ['"a  "']), keyName([keyColumn('text')], new Set(['k']), ['"a"']));
    assert.notEqual(keyName([keyColumn('text')], new Set(), ['"a  "']), keyName([keyColumn('text')], new Set(), ['"a"']));
    assert.notEqual(
      keyName([keyColumn('text'), keyColumn('text')], new Set(), ['"a"', '"b,c"']),
      keyName([keyColumn('text'), keyColumn('text')], new Set(), ['"a,b"', '"c"']),
    );
    assert.equal(keyText(['id'], ['7']), '7');
    assert.equal(keyText(['region', 'id'], ['"eu"', '9007199254740993']), '{"region":"eu","id":9007199254740993}');
  });

  test('a key of the mirror is written as MariaDB reads it', () => {
    assert.deepEqual(sourceKey('bytea', String.raw`\xdeadbeef`, 'mariadb'), ['DEADBEEF']);
    assert.deepEqual(sourceKey('bytea', String.raw`\xdeadbeef`, 'postgres'), [String.raw`\xdeadbeef`]);
    assert.deepEqual(sourceKey('timestamptz', '2026-11-22 15:00:00.1+00', 'mariadb'), ['2026-11-22 15:00:00.1']);
    assert.deepEqual(sourceKey('boolean', 't', 'mariadb'), ['1']);
    assert.deepEqual(sourceKey('text', 't+00', 'mariadb'), ['t+00']);
  });
});

const columns = (...names: readonly string[]) =>
  names.map((name) => ({ name, type: { name: 'text', isArray: false, modifier: -1 }, collation: 'exact' as const }));

suite('what is compared, and what is expected', () => {
  const config = pipelineSchema.parse({
    legacyDb: { database: 'legacy', roles: { poller: { user: 'p' } } },
    kafka: { brokers: 'localhost:9092' },
    poller: {
      name: 'p',
      tables: [
        { table: 'public.swept', sweep: { intervalMs: 1000 } },
        { table: 'public.*', mask: { secret: 'null' }, excludeColumns: ['big'] },
      ],
    },
    connect: {},
    comparison: { sweep: { name: 's', sweep: { intervalMs: 5000 } } },
  });
  const table = { schema: 'public', table: 'orders' };
  test('model and strategy belong together by the prefix of the topics; only a plain query keeps deleted rows for good', () => {
    assert.deepEqual(
      ['log', 'query', 'sweep', 'other'].map((prefix) => strategyOf(config, prefix)),
      ['log', 'query', 'sweep', 'unknown'],
    );
    assert.equal(deleteDelay(config, table, 'log'), 0);
    assert.equal(deleteDelay(config, table, 'query'), null);
    assert.equal(deleteDelay(config, { ...table, table: 'swept' }, 'query'), 2000);
    assert.equal(deleteDelay(config, table, 'sweep'), 10_000);
  });

  test('columns that a side has not, or has otherwise by the configuration, are named with the reason', () => {
    const rules = {
      table,
      source: columns('id', 'status', 'secret', 'big', 'fresh', 'odd', 'left'),
      left: [{ column: 'point', why: 'of a type' }],
      mirror: columns('id', 'status', 'secret', 'big', 'old', 'odd', 'left', 'point'),
      key: ['id'],
      ignored: ['public.orders.odd', 'public.other.status'],
      polled: config.poller?.tables[1],
      connectors: [
        {
          config: {
            'column.exclude.list': String.raw`public\.orders\.(left|nothing), x`,
            'column.mask.hash.SHA-256.with.salt.s': 'public.orders.SECRET',
          },
        },
      ],
    };
    const query = comparedColumns({ ...rules, strategy: 'query' });
    assert.deepEqual(query.compared, ['status', 'left']);
    assert.deepEqual(Object.fromEntries(query.notCompared.map(({ column, why }) => [column, why])), {
      point: 'of a type',
      secret: 'masked by the poller',
      big: 'left out by the poller',
      fresh: 'the mirror has no such column (yet)',
      odd: 'ignoreColumns of the model',
      old: 'the source has no such column (any more)',
    });
    const log = comparedColumns({ ...rules, strategy: 'log' });
    assert.deepEqual(log.compared, ['status', 'big']);
    assert.match(log.notCompared.find(({ column }) => column === 'left')?.why ?? '', /column\.exclude\.list/);
    assert.match(log.notCompared.find(({ column }) => column === 'secret')?.why ?? '', /column\.mask/);
  });

  test('ghosts of a plain query are counted and no difference; values are printed only when asked for', () => {
    const tally = new Tally(1);
    tally.add(['a', 'b'].map((key) => ({ kind: 'ghost', key, columns: [] })));
    const base = {
      table: 'public.orders',
      model: 'm',
      strategy: 'query',
      sourceRows: 1,
      mirrorRows: 3,
      notCompared: [],
      parked: 0,
      complete: true,
      problem: null,
    };
    const expected = { ...base, ...tally.found(), ghostsExpected: true };
    assert.equal(outcomeOf(expected), 'equal');
    assert.equal(outcomeOf({ ...expected, ghostsExpected: false }), 'differs');
    const text = renderResults([{ ...expected, outcome: 'equal' }], false);
    assert.match(
      text,
      /equal: 1 row of the source, 3 of the mirror; 2 ghost, as expected\n {2}ghost \(deletes are invisible to a query, so these are expected\): a and 1 more/,
    );
    tally.add([{ kind: 'stale', key: 'c\u001b[2J', columns: [{ name: 'secret', source: '"s1"', mirror: '"s2"' }] }]);
    const result = { ...base, ...tally.found(), ghostsExpected: true };
    assert.equal(outcomeOf(result), 'differs');
    const stale = renderResults([{ ...result, outcome: 'differs' }], false);
    assert.match(stale, /stale \(columns differ\): c\\u001b\[2J; secret in 1 row\n {2}c\\u001b\[2J: secret$/);
    assert.match(renderResults([{ ...result, outcome: 'differs' }], true), /secret: "s1" in the source, "s2" in the mirror$/);
  });
});
