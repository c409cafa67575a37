import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgresWords } from '#cdc-poller/postgres/words.ts';
import { findProblems as judge, problemsError } from '#cdc-poller/source/judge/judge-table.ts';
import type { ShapeFinding } from '#cdc-poller/source/judge/unfit-codes.ts';
import { TableReshaped } from '#cdc-poller/source/table/table-reshaped.ts';
import { shapeOf as shapeIn, type TableShape } from '#cdc-poller/source/table/table-shape.ts';
import type { CatalogColumn, CatalogTable } from '#cdc-poller/source/table/catalog-table.ts';
import { pageStateSql } from '#cdc-poller/postgres/relation-state.ts';
import { pageQuery } from '#cdc-poller/postgres/page-query.ts';
import { cursorAfter, pageRows } from '#cdc-poller/source/page-rows.ts';
import { matchesTable, type PollerTableConfig } from '#pipeline/index.ts';
import { pollerTableSchema } from '#pipeline/config/settings/poller-table-settings.ts';

const config = pollerTableSchema.parse({ table: 'public.orders' });
const column = (name: string, type: string, notNull = true): CatalogColumn => ({
  name,
  type: { name: type, isArray: false, modifier: -1 },
  sqlType: `pg_catalog.${type}`,
  notNull,
  readable: true,
});
const orders: CatalogTable = {
  id: { schema: 'public', table: 'orders' },
  exists: true,
  kind: 'r',
  readable: true,
  columns: [column('id', 'int8'), column('updated_at', 'timestamptz')],
  primaryKey: ['id'],
  uniqueKeys: [['id']],
  indexes: [['id'], ['updated_at', 'id']],
  sequence: null,
  similar: [],
  relation: { oid: '7', file: '7', columnsHash: '1', keyIndex: '8' },
};
const findProblems = (table: CatalogTable, settings: PollerTableConfig, role: string): readonly ShapeFinding[] =>
  judge(table, settings, role, postgresWords);
const shapeOf = (table: CatalogTable, settings: PollerTableConfig, maskSecret: string): TableShape =>
  shapeIn(table, settings, maskSecret, postgresWords);
const unreadable = (one: CatalogColumn): CatalogColumn => ({ ...one, readable: false });
const codes = (table: CatalogTable): readonly string[] => findProblems(table, config, 'cdc_poller').map(({ code }) => code);

test('a table that fits has no findings', () => {
  assert.deepEqual(codes(orders), []);
});

test('an unknown table is named with those that may be meant', () => {
  const [finding] = findProblems({ ...orders, exists: false, similar: ['public.order'] }, config, 'cdc_poller');
  assert.equal(finding?.code, 'TABLE_UNKNOWN');
  assert.match(finding.remedy, /public\.order/);
});

test('every finding of a table is reported at once, with table, column and remedy', () => {
  const findings = findProblems(
    { ...orders, readable: false, columns: [column('id', 'jsonb'), column('updated_at', 'timestamptz', false)].map(unreadable) },
    config,
    'cdc_poller',
  );
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['SELECT_MISSING', 'COLUMN_NULLABLE', 'COLUMN_TYPE_UNFIT'],
  );
  const error = problemsError(findings);
  assert.equal(error.code, 'TABLES_UNFIT');
  for (const text of ['GRANT SELECT ON public.orders', 'public.orders.updated_at', 'never be read', 'public.orders.id', 'jsonb'])
    assert.ok(error.message.includes(text), text);
});

test('a column that does not exist is reported with those that fit', () => {
  const [finding] = findProblems({ ...orders, columns: [column('id', 'int8'), column('changed', 'timestamptz')] }, config, 'cdc_poller');
  assert.equal(finding?.code, 'COLUMN_UNKNOWN');
  assert.match(finding.remedy, /changed/);
});

test('a page compares row values, and leaves what is below the horizon to the server', () => {
  const shape = shapeOf(orders, config, '');
  const pass = {
    kind: 'poll',
    from: 0n,
    below: null,
    horizon: 2n ** 32n + 7n,
    nextHorizon: 9n,
    cursor: ['2026-01-01 00:00:00+00', '5'],
  } as const;
  const { text, values } = pageQuery(shape, pass, 1000);
  assert.equal(
    text,
    `select xmin, (SELECT pg_snapshot_xmax(pg_current_snapshot()) || '/' || ${pageStateSql(orders.id)}) AS seen, "source"."id", "source"."updated_at" from ONLY "public"."orders" as "source" ` +
      'where ("source"."updated_at", "source"."id") > ($1::pg_catalog.timestamptz, $2::pg_catalog.int8) and age(xmin) <= age($3::xid) ' +
      'order by "source"."updated_at" asc, "source"."id" asc limit $4',
  );
  assert.deepEqual(values, ['2026-01-01 00:00:00+00', '5', '7', '1000']);
});

const judged = (settings: Readonly<Record<string, unknown>>, table: Partial<CatalogTable> = {}): readonly string[] =>
  findProblems({ ...orders, ...table }, pollerTableSchema.parse({ table: 'public.orders', ...settings }), 'cdc_poller').map(
    ({ code, message, remedy }) => `${code} ${message}. ${remedy}`,
  );
const sequence = { oid: '9', name: 'public.orders_id_seq', increment: 1n, cache: 1n, cycles: false, readable: false };

test('mode incrementing wants a sequence that hands out ids one by one, upwards', () => {
  const mode = 'incrementing';
  assert.deepEqual(judged({ mode }, { sequence }), []);
  assert.match(
    judged({ mode }, { sequence: { ...sequence, cache: 20n } })[0] ?? '',
    /^SEQUENCE_UNFIT .*orders_id_seq.*blocks of 20.*CACHE 1/,
  );
  assert.match(judged({ mode }, { sequence: { ...sequence, increment: -1n } })[0] ?? '', /^SEQUENCE_UNFIT .*counts down/);
  assert.match(judged({ mode }, { sequence: { ...sequence, cycles: true } })[0] ?? '', /^SEQUENCE_UNFIT .*CYCLE/);
  assert.match(judged({ mode })[0] ?? '', /^SEQUENCE_UNFIT no sequence.*idsAscend: true/);
  assert.deepEqual(judged({ mode, idsAscend: true }), []);
  assert.equal(
    judged({ mode, idsAscend: true }, { sequence: { ...sequence, cache: 20n } }).length,
    1,
    'a declaration does not unmake what is known',
  );
  assert.deepEqual(judged({}, { sequence: { ...sequence, cache: 20n } }), [], 'with a timestamp the order of ids is of no matter');
});

test('what orders the pages has to name one row, or be declared a key', () => {
  const table = { primaryKey: [], uniqueKeys: [] };
  assert.match(judged({}, table)[0] ?? '', /^KEY_UNFIT .*updated_at, id.*no two rows ever have the same, declare key: \[id\]/);
  assert.deepEqual(judged({ key: ['id'] }, table), []);
  assert.deepEqual(judged({}, { ...table, uniqueKeys: [['id', 'updated_at']] }), []);
  assert.match(judged({ mode: 'timestamp' }, table)[0] ?? '', /^KEY_UNFIT .*no primary key/);
  const shape = shapeOf(
    { ...orders, primaryKey: ['code'], uniqueKeys: [['code']], columns: [...orders.columns, column('code', 'text')] },
    config,
    '',
  );
  assert.deepEqual(shape.basis.order, ['updated_at', 'id', 'code'], 'where the id does not, the primary key follows it');
});

test('a timestamp without zone wants the zone that it is written in; of several, one has to be set always', () => {
  const columns = [column('id', 'int8'), column('updated_at', 'timestamp', false), column('created_at', 'timestamp', false)];
  assert.match(
    judged({}, { columns: [column('id', 'int8'), column('updated_at', 'timestamp')] })[0] ?? '',
    /^COLUMN_TYPE_UNFIT .*no time zone.*timeZone/,
  );
  const settings = { timestampColumn: ['updated_at', 'created_at'], timeZone: 'Europe/Berlin' };
  assert.match(judged(settings, { columns })[0] ?? '', /^COLUMN_NULLABLE .*may all be null/);
  assert.deepEqual(judged(settings, { columns: [...columns.slice(0, 2), column('created_at', 'timestamp')] }), []);
  assert.match(judged(settings, { columns: [...columns.slice(0, 2), column('created_at', 'timestamptz')] })[0] ?? '', /different types/);
});

test('key columns are neither masked nor left out; what does not exist cannot be chosen', () => {
  assert.match(judged({ mask: { id: 'hash' } })[0] ?? '', /^KEY_UNFIT .*public\.orders\.id .*masked/);
  assert.match(judged({ excludeColumns: ['id'] })[0] ?? '', /^KEY_UNFIT .*left out/);
  assert.match(judged({ includeColumns: ['id', 'emial'] })[0] ?? '', /^COLUMN_UNKNOWN .*emial \(includeColumns\)/);
  assert.deepEqual(judged({ includeColumns: ['id'] }), []);
});

test('views have no fence: they want a key, and no id floor', () => {
  const view = { kind: 'v', primaryKey: [], uniqueKeys: [] };
  assert.match(judged({ mode: 'timestamp' }, view)[0] ?? '', /^KEY_UNFIT /);
  assert.deepEqual(judged({ mode: 'timestamp', key: ['id'] }, view), []);
  assert.match(judged({ mode: 'incrementing', key: ['id'] }, view)[0] ?? '', /not an ordinary table/);
  assert.equal(shapeOf({ ...orders, ...view }, pollerTableSchema.parse({ table: 'public.orders', key: ['id'] }), '').capture, 'window');
});

test('columns that may be read one by one suffice, and the grant that is missing is reported', () => {
  const settings = { includeColumns: ['id'] };
  assert.deepEqual(judged(settings, { readable: false }), []);
  const columns = orders.columns.map(unreadable);
  assert.match(judged(settings, { readable: false, columns })[0] ?? '', /GRANT SELECT \(id, updated_at, xmin\) ON public\.orders/);
});

const meant = (pattern: string, table: string, exclude?: string[]) => matchesTable({ table: pattern, exclude }, table);

test('patterns: * and ? stop at the dot, and what is excluded is not meant', () => {
  assert.ok(meant('public.*', 'public.orders'));
  assert.ok(!meant('public.*', 'other.orders'));
  assert.ok(meant('*.order?', 'sales.orders'));
  assert.ok(!meant('public.a+b*', 'public.aab'));
  assert.ok(!meant('public.*', 'public.log_2', ['public.log_*']));
});

const places = (settings: Readonly<Record<string, unknown>>): readonly string[] => {
  const { error } = pollerTableSchema.safeParse({ table: 'public.orders', ...settings });
  return error?.issues.map(({ path }) => path.join('.')) ?? [];
};

test('settings that contradict one another are refused, each at its place', () => {
  assert.deepEqual(places({ mode: 'bulk' }), ['pollIntervalMs']);
  assert.deepEqual(places({ mode: 'incrementing', query: 'SELECT 1' }), ['mode']);
  assert.deepEqual(places({ startFrom: '42' }), ['startFrom']);
  assert.deepEqual(places({ startFrom: 42, mode: 'incrementing' }), []);
  assert.deepEqual(places({ startFrom: '2026-01-01T00:00:00Z', mode: 'incrementing' }), ['startFrom']);
  assert.deepEqual(places({ startFrom: 'yesterday' }), ['startFrom']);
  assert.deepEqual(places({ startFrom: '2026-01-01' }), ['startFrom']);
  assert.deepEqual(places({ includeColumns: ['a'], excludeColumns: ['b'] }), ['excludeColumns']);
  assert.deepEqual(places({ exclude: ['public.x'] }), ['exclude']);
  assert.deepEqual(places({ timeZone: 'Mars/Phobos' }), ['timeZone']);
  assert.deepEqual(places({ table: 'public.*', topic: 'one' }), ['topic']);
});

test('a page whose snapshot shows another table, other columns or another key is not taken', () => {
  const shape = shapeOf(orders, config, '');
  const row = ['41', '42/7/1/8', '1', '2026-01-01 00:00:00+00'];
  assert.deepEqual(pageRows(shape, [row]), [{ row: row.slice(2), txId: '41', version: 41n }]);
  assert.deepEqual(cursorAfter(shape, [row]), ['2026-01-01 00:00:00+00', '1']);
  for (const seen of ['42/7/2/8', '42/6/1/8', '42/7/1/9', '42/', '42', null])
    assert.throws(() => pageRows(shape, [['41', seen, ...row.slice(2)]]), TableReshaped);
});

test('a view that gives no value where its rows are ordered is named, instead of losing what follows', () => {
  const view = shapeOf({ ...orders, kind: 'v' }, pollerTableSchema.parse({ table: 'public.orders', key: ['id'] }), '');
  assert.throws(() => cursorAfter(view, [[null, null, '1', null]]), { code: 'COLUMN_NULLABLE', message: /public\.orders .*updated_at/ });
});
