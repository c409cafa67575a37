import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import type { EventField, FieldType } from '#cdc-poller/fields.ts';
import { formatTableId, type TableId } from '#change-events/index.ts';
import { strictCompiler } from '#test/support/strict-compiler.ts';
import { differences } from '#types/difference.ts';
import { memberOf } from '#types/field-shape.ts';
import { suffixes, tableNames } from '#types/names.ts';
import { printFile } from '#types/print.ts';
import { lineDifference, staleness, writeTypes } from '#types/stale.ts';
import type { Before, TableTypes } from '#types/table-types.ts';

const compiler = await strictCompiler();
after(() => compiler[Symbol.asyncDispose]());

const plainBase = fc.constantFrom('int' as const, 'long', 'float', 'double', 'boolean', 'string', 'bytes');
const plainType = plainBase.map((base) => ({ base }));
const type: fc.Arbitrary<EventField['type']> = fc.oneof(
  plainType,
  fc.record({
    base: fc.constant('array' as const),
    items: plainType,
    depth: fc.integer({ min: 1, max: 6 }),
  }) satisfies fc.Arbitrary<FieldType>,
  fc.constant('structure' as const),
);

/** Whatever a database takes in a name, and what means something to TypeScript. */
const name = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
  fc.constantFrom(
    'class', 'default', 'any', 'constructor', '__proto__', 'prototype', 'toString', '1st', '*/', "it's", '"', '`', '\\', '\n', '\u2028', '😀', '👩‍👩‍👧', 'größe', '漢字', 'x²', '½', '_', '$', 'a-b', 'a_b', 'aB',
    'row', 'key', 'change', 'event', 'orders', 'orders_row', 'Integer', 'Float', 'Json', 'event_source', 'event_origin', 'event_transaction',
  ),
); // prettier-ignore

const field: fc.Arbitrary<EventField> = fc.record({
  name,
  type,
  nullable: fc.boolean(),
  declared: fc.option(fc.record({ type: name }), { nil: undefined }),
  labels: fc.option(fc.array(name, { maxLength: 4 }), { nil: null }),
  masked: fc.boolean(),
});

const doubt = fc.record({ absent: fc.boolean(), nullInstead: fc.boolean(), uncertain: fc.boolean() });

const tableTypes: fc.Arbitrary<TableTypes> = fc
  .record({
    source: fc.record({ schema: name, table: name }),
    strategy: fc.constantFrom('query' as const, 'log' as const),
    row: fc.uniqueArray(fc.tuple(field, doubt), { selector: ([one]) => one.name, minLength: 1, maxLength: 8 }),
    keyed: fc.nat({ max: 2 }),
    before: fc.constantFrom('none' as const, 'row', 'columns'),
    inUpdates: fc.boolean(),
  })
  .map(({ source, strategy, row, keyed, before, inUpdates }) => {
    const members = row.map(([one, doubts]) => memberOf(one, doubts));
    const columns = members.slice(0, keyed + 1).map((member) => member.name);
    return {
      source,
      topic: `topic.${source.schema}.${source.table}`,
      strategy,
      row: members,
      key: row.slice(0, keyed).map(([one]) => memberOf(one)),
      before: before === 'columns' ? ({ kind: 'columns', columns, inUpdates } satisfies Before) : { kind: before },
      apart: columns,
    };
  });

const database = fc.uniqueArray(tableTypes, { selector: ({ source }) => JSON.stringify(source), minLength: 1, maxLength: 6 });

const sourcesOf = (tables: readonly TableTypes[]): readonly TableId[] => tables.map(({ source }) => source);

test('whatever tables, columns, labels and types are called: the file compiles, and its types have what was asked for', async () => {
  const files: Record<string, string> = {};
  for (const [index, tables] of fc.sample(database, { seed: 18, numRuns: 80 }).entries()) {
    const strategy = tables[0]?.strategy ?? 'log';
    files[`types-${index}.ts`] = printFile(tables, sourcesOf(tables), strategy);
    const names = tableNames(sourcesOf(tables));
    const uses = tables.flatMap(({ source, row }, at) => {
      const base = names.get(formatTableId(source)) ?? '';
      const columns = row.map((member) => JSON.stringify(member.name)).join(' | ');
      return [
        `import type { ${Object.values(suffixes)
          .map((suffix) => `${base}${suffix}`)
          .join(', ')} } from './types-${index}.ts';`,
        `type Same${at} = [keyof ${base}Row, ${columns}] extends [${columns}, keyof ${base}Row] ? true : false;`,
        `export const same${at}: Same${at} = true;`,
        `export function use${at}(change: ${base}Change, event: ${base}Event, key: ${base}Key): unknown {`,
        `  if (change.op === 'delete') { const none: null = change.after; return none; }`,
        `  if (change.op === 'read') { const row: ${base}Row = change.after; const none: null = change.before; return [row, none]; }`,
        `  return event.op === 'u' ? event.after : key;`,
        '}',
      ];
    });
    files[`use-${index}.ts`] = uses.join('\n');
  }
  assert.equal((await compiler.compile(files)).slice(0, 3000), '');
});

test('the order of tables does not matter, and no two types have one name', () => {
  fc.assert(
    fc.property(database, (tables) => {
      const text = printFile(tables, sourcesOf(tables), 'log');
      assert.equal(printFile(tables.toReversed(), sourcesOf(tables).toReversed(), 'log'), text);
      const names = [...text.matchAll(/^export type (?<name>\S+) =/gm)].map(({ groups }) => groups?.['name']);
      assert.equal(new Set(names).size, names.length);
    }),
    { seed: 18, numRuns: 200 },
  );
});

const id = (schema: string, table: string): TableId => ({ schema, table });

test('a type is named after its table; tables of one name by their schemas, and by a number where that is one too; the same in a file of some tables', () => {
  const all = [
    id('public', 'order_items'), id('public', 'orders'), id('archive', 'orders'), id('public', 'Orders'), id('public', '😀'), id('public', '🎉'), id('public', '1st'),
  ]; // prettier-ignore
  const names = Object.fromEntries(tableNames(all));
  assert.deepEqual(names, {
    'public.order_items': 'OrderItems',
    'archive.orders': 'ArchiveOrders',
    'public.Orders': 'PublicOrders',
    'public.orders': 'PublicOrders_2',
    'public.😀': 'Public_2',
    'public.🎉': 'Public',
    'public.1st': '_1st',
  });
  const tables = all.map((source) => tableOf(source, []));
  const some = tables.filter(({ source }) => source.schema === 'archive');
  const text = printFile(some, all, 'log');
  assert.match(text, /export type ArchiveOrdersRow = /);
  assert.doesNotMatch(text, /PublicOrders/);
});

function tableOf(source: TableId, row: readonly EventField[], before: Before = { kind: 'none' }): TableTypes {
  const members = row.map((one) => memberOf(one));
  return { source, topic: `log.${formatTableId(source)}`, strategy: 'log', row: members, key: members.slice(0, 1), before, apart: [] };
}

const fieldOf = (named: string, of: EventField['type'], more: Partial<EventField> = {}): EventField => ({
  name: named,
  type: of,
  nullable: false,
  declared: undefined,
  labels: null,
  masked: false,
  ...more,
});

const orders = { schema: 'public', table: 'orders' };
const row = [
  fieldOf('id', { base: 'long' }),
  fieldOf('code', { base: 'string' }),
  fieldOf('total', { base: 'string' }, { nullable: true }),
];

test('what is before a change is what its strategy and the log know of the row', () => {
  const cases: readonly (readonly [Before, update: string, gone: string])[] = [
    [{ kind: 'none' }, 'null', 'null'],
    [{ kind: 'row' }, 'OrdersRow | null', 'OrdersRow'],
    [{ kind: 'columns', columns: ['id'], inUpdates: false }, 'null', 'OrdersKey'],
    [
      { kind: 'columns', columns: ['id', 'code'], inUpdates: true },
      "Pick<OrdersRow, 'id' | 'code'> | null",
      "Pick<OrdersRow, 'id' | 'code'>",
    ],
  ];
  for (const [before, update, gone] of cases) {
    const text = printFile([tableOf(orders, row, before)], [orders], 'log');
    assert.ok(
      text.includes(`{ readonly op: 'update'; readonly key: OrdersKey; readonly before: ${update}; readonly after: OrdersRow }`),
      text,
    );
    assert.ok(text.includes(`{ readonly op: 'delete'; readonly key: OrdersKey; readonly before: ${gone}; readonly after: null }`), text);
    assert.ok(text.includes(`readonly op: 'd'; readonly before: ${gone}; readonly after: null }`), text);
  }
  const polled = printFile([{ ...tableOf(orders, row), strategy: 'query' }], [orders], 'query');
  assert.doesNotMatch(polled, /'create'|'truncate'|op: 'c'|op: 't'/);
  assert.match(printFile([{ ...tableOf(orders, row), key: [] }], [orders], 'log'), /export type OrdersKey = null;/);
});

test('what catalogue and registry say of a column is said where it differs, and only there', () => {
  const enums = [fieldOf('id', { base: 'long' }), fieldOf('mood', { base: 'string' }, { labels: ['a,b', 'c', ''] })];
  const inRegistry = [fieldOf('id', { base: 'long' }), fieldOf('mood', { base: 'string' }, { labels: ['a', 'b', 'c'] })];
  assert.deepEqual(differences([tableOf(orders, enums)], [tableOf(orders, inRegistry)]), []);
  const other = [fieldOf('id', { base: 'int' }), fieldOf('total', { base: 'string' }), fieldOf('gone', { base: 'string' })];
  assert.deepEqual(differences([tableOf(orders, row)], [tableOf(orders, other)]), [
    'public.orders, key: column "id" is Integer by the catalogue, and number by the registry',
    'public.orders: column "id" is Integer by the catalogue, and number by the registry',
    'public.orders: column "code" is not in the registry\'s schema',
    'public.orders: column "total" is string | null by the catalogue, and string by the registry',
    'public.orders: the registry\'s schema has a column "gone", and the catalogue has not',
  ]);
  assert.deepEqual(differences([tableOf(orders, row)], []), ['public.orders: the registry has no schema of topic log.public.orders yet']);
});

test('a file is stale when it differs in more than the ends of its lines, and the difference shows the lines', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-types-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'types.ts');
  const text = 'one\ntwo\nthree\nfour\nfive\nsix\nseven\n';
  assert.equal(await staleness(file, text), `${file} does not exist`);
  await writeTypes(file, text);
  assert.equal(await staleness(file, text), null);
  await writeFile(file, text.replaceAll('\n', '\r\n'));
  assert.equal(await staleness(file, text), null);
  await writeFile(file, text.replace('five', 'other'));
  assert.equal(await staleness(file, text), '  three\n  four\n- other\n+ five\n  six\n  seven\n…');
  assert.equal(await readFile(file, 'utf8'), text.replace('five', 'other'));
  assert.equal(lineDifference('a\n', 'a\n'), '');
  await assert.rejects(writeTypes(join(folder, 'nosuch', 'types.ts'), text), { code: 'TYPES_FILE_UNUSABLE' });
  await assert.rejects(staleness(folder, text), { code: 'TYPES_FILE_UNUSABLE' });
});
