import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { parseConfig, type MirrorTableConfig } from '#pipeline/index.ts';
import { planMirrors, type ExistingMirror } from '#read-model/mirrors/plan/plan-mirrors.ts';
import { wantedMirrors, type WantedMirror } from '#read-model/mirrors/plan/wanted-mirrors.ts';
import type { CapturedTable, CapturedTables } from '#change-events/index.ts';

const table = (name: string, columns = 'id bigint, note text', key = ['id']): CapturedTable => ({
  source: { schema: 'app', table: name },
  columns: columns.split(', ').map((column) => ({ name: column.split(' ')[0] ?? '', type: column.split(' ').slice(1).join(' ') })),
  key,
});

const entry = (settings: Partial<MirrorTableConfig> & { readonly table: string }): MirrorTableConfig => ({
  deletes: 'remove',
  history: false,
  ...settings,
});

const captured = (...tables: readonly CapturedTable[]): CapturedTables => ({ tables, unfit: [] });

describe('which mirrors a configuration asks for', () => {
  test('left out: all that is captured; tables that cannot be mirrored are named', () => {
    const unfit = { source: { schema: 'app', table: 'gone' }, why: 'no such table' };
    const { mirrors, unfit: left } = wantedMirrors('m', undefined, { tables: [table('a'), table('nokey', 'x text', [])], unfit: [unfit] });
    assert.deepEqual(
      mirrors.map((mirror) => mirror.table),
      ['a'],
    );
    assert.deepEqual(
      left.map(({ source }) => source.table),
      ['gone', 'nokey'],
    );
  });

  test('a name goes before a pattern, the first pattern before a later one, and exclude leaves out', () => {
    const entries = [
      entry({ table: 'app.*', exclude: ['app.c'], history: true }),
      entry({ table: 'app.a', deletes: 'mark' }),
      entry({ table: 'app.?' }),
    ];
    const { mirrors } = wantedMirrors('m', entries, captured(table('a'), table('b'), table('c')));
    assert.deepEqual(
      mirrors.map((mirror) => [mirror.table, mirror.deletes, mirror.history]),
      [
        ['a', 'mark', false],
        ['b', 'remove', true],
        ['c', 'remove', false],
      ],
    );
  });

  const refusals: readonly { readonly what: string; readonly entries: readonly MirrorTableConfig[]; readonly tables: readonly CapturedTable[]; readonly says: RegExp }[] = [
    { what: 'a table that is not captured', entries: [entry({ table: 'app.b' })], tables: [table('a')], says: /tables\[0\]: app\.b is not captured .*app\.a/ },
    { what: 'a pattern that matches nothing', entries: [entry({ table: 'other.*' })], tables: [table('a')], says: /other\.\* matches no captured table/ },
    { what: 'an unknown column', entries: [entry({ table: 'app.a', columns: ['id', 'nope'] })], tables: [table('a')], says: /the table has no nope/ },
    { what: 'columns without the key', entries: [entry({ table: 'app.a', columns: ['note'] })], tables: [table('a')], says: /the key needs id/ },
    { what: 'a table without a key', entries: [entry({ table: 'app.a' })], tables: [table('a', 'x text', [])], says: /it has no key/ },
    { what: 'two mirrors of one name', entries: [entry({ table: 'app.a', name: 'x' }), entry({ table: 'app.b', name: 'x' })], tables: [table('a'), table('b')], says: /app\.a and app\.b would both be x/ },
    { what: 'a history that is called as another mirror', entries: [entry({ table: 'app.a', history: true }), entry({ table: 'app.a_history' })], tables: [table('a'), table('a_history')], says: /would both be a_history/ },
    { what: 'a name that is the model’s own', entries: [entry({ table: 'app.freshness' })], tables: [table('freshness')], says: /has a table freshness of its own/ },
    { what: 'a column that is ours', entries: [entry({ table: 'app.a' })], tables: [table('a', 'id bigint, _lsn text')], says: /a column _lsn of its own/ },
    { what: 'a mark that meets a column of that name', entries: [entry({ table: 'app.a', deletes: 'mark' })], tables: [table('a', 'id bigint, _deleted_at text')], says: /_deleted_at/ },
    { what: 'a name that Postgres would cut', entries: [entry({ table: 'app.a', name: 'x'.repeat(60), history: true })], tables: [table('a')], says: /68 bytes/ },
  ]; // prettier-ignore
  for (const { what, entries, tables, says } of refusals)
    test(`${what} is refused, at its place`, () => {
      assert.throws(() => wantedMirrors('m', entries, captured(...tables)), { code: 'READ_MODEL_TABLES_INVALID', message: says });
    });

  test('a setting for one table is refused for a pattern, with file and line', () => {
    const yaml = `legacyDb: { database: d, roles: { poller: { user: u } } }
kafka: { brokers: 'k:1' }
readModel:
  database: r
  user: u
  models:
    m:
      topicPrefix: log
      groupId: g
      tables:
        - app.*
        - { table: 'app.*', name: x }
`;
    assert.throws(() => parseConfig(yaml, 'p.yaml', {}), {
      code: 'CONFIG_INVALID',
      message: /p\.yaml:12: readModel\.models\.m\.tables\[1\]\.name: belongs to one table/,
    });
  });
});

/** What the plan's statements leave in the database, as the plan is made from it. */
function carriedOut(wanted: readonly WantedMirror[], before: readonly ExistingMirror[]): readonly ExistingMirror[] {
  const kept = new Map(before.map((mirror) => [mirror.source.table, mirror]));
  for (const mirror of wanted) {
    const found = kept.get(mirror.source.table);
    const types = new Map(found?.columns);
    for (const { name, type } of mirror.columns) if (!types.has(name)) types.set(name, { type, base: type });
    for (const own of ['_lsn', ...(mirror.deletes === 'mark' ? ['_deleted_at'] : [])])
      if (!types.has(own)) types.set(own, { type: 'x', base: 'x' });
    kept.set(mirror.source.table, {
      table: found?.table ?? mirror.table,
      source: mirror.source,
      deletes: mirror.deletes === 'mark' ? 'mark' : (found?.deletes ?? 'remove'),
      history: mirror.history,
      follows: mirror.follows,
      configured: true,
      columns: types,
      historyColumns: new Set([...(found?.historyColumns ?? []), ...(mirror.history ? types.keys() : [])]),
      key: found?.key ?? mirror.key,
    });
  }
  return [...kept.values()];
}

const wantedOf = (set: readonly { name: string; columns: string; deletes: 'remove' | 'mark'; history: boolean }[]): readonly WantedMirror[] =>
  set.length === 0
    ? []
    : wantedMirrors('m', set.map(({ name, deletes, history }) => entry({ table: `app.${name}`, deletes, history })), captured(...set.map(({ name, columns }) => table(name, columns)))).mirrors; // prettier-ignore
const topicOf = (): string => 'topic';

test('a plan that was carried out leaves nothing to do, whatever was there before', () => {
  const one = fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    columns: fc.constantFrom('id bigint', 'id bigint, note text', 'id bigint, note text, more jsonb'),
    deletes: fc.constantFrom('remove' as const, 'mark' as const),
    history: fc.boolean(),
  });
  const sets = fc.uniqueArray(one, { selector: ({ name }) => name });
  fc.assert(
    fc.property(fc.array(sets, { minLength: 1, maxLength: 4 }), (rounds) => {
      let existing: readonly ExistingMirror[] = [];
      for (const round of rounds) {
        const wanted = wantedOf(round);
        const { steps } = planMirrors(wanted, existing, topicOf);
        assert.ok(
          steps.every(({ statements }) => statements.every((sql) => !/DROP|DELETE/.test(sql))),
          'nothing is taken away unasked',
        );
        existing = carriedOut(wanted, existing);
        assert.deepEqual(planMirrors(wanted, existing, topicOf).steps, []);
      }
      const asked = new Set<string>((rounds.at(-1) ?? []).map(({ name }) => name));
      const { notes } = planMirrors(wantedOf(rounds.at(-1) ?? []), existing, topicOf);
      for (const { table: name } of existing)
        assert.equal(notes.some((note) => note.startsWith(`${name} (of app.${name}) is no longer configured`)), !asked.has(name)); // prettier-ignore
    }),
  );
});

test('mirrors that a note says to drop are listed, so that who reads them can be asked for', () => {
  const before = wantedOf([
    { name: 'a', columns: 'id bigint', deletes: 'mark', history: false },
    { name: 'b', columns: 'id bigint', deletes: 'remove', history: false },
    { name: 'c', columns: 'id bigint', deletes: 'remove', history: false },
  ]);
  const asked = wantedOf([
    { name: 'a', columns: 'id bigint', deletes: 'remove', history: false },
    { name: 'b', columns: 'id text', deletes: 'remove', history: false },
  ]);
  const { droppable, notes } = planMirrors(asked, carriedOut(before, []), topicOf);
  assert.deepEqual(droppable, ['a', 'c']);
  assert.equal(notes.length, 3, 'another type of b is changed in its place');
});

test('a drop removes the mirror, its history and how far it was applied, and nothing of others', () => {
  const wanted = wantedMirrors(
    'm',
    [entry({ table: 'app.a', history: true }), entry({ table: 'app.b' })],
    captured(table('a'), table('b')),
  ).mirrors;
  const { steps } = planMirrors(wanted, carriedOut(wanted, []), ({ table: name }) => `log.${name}`, ['a']);
  assert.deepEqual(
    steps.map(({ mirror }) => mirror),
    ['a'],
  );
  const sql = steps.flatMap(({ statements }) => statements).join('\n');
  for (const part of ['DROP TABLE "a"', 'DROP TABLE "a_history"', "applied_offsets WHERE topic = 'log.a'"])
    assert.ok(sql.includes(part), part);
  assert.ok(!sql.includes('"b"'));
});
