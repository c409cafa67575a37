import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findProblems, problemsError, type CatalogTable } from '#cdc-poller/source/table-shape.ts';
import { pageQuery } from '#cdc-poller/source/page-query.ts';
import { pollerTableSchema } from '#pipeline/config/schema.ts';

const config = pollerTableSchema.parse({ table: 'public.orders' });
const column = (name: string, type: string, notNull = true) => ({ name, type: { name: type, isArray: false, modifier: -1 }, notNull });
const orders: CatalogTable = {
  id: { schema: 'public', table: 'orders' },
  exists: true,
  kind: 'r',
  readable: true,
  columns: [column('id', 'int8'), column('updated_at', 'timestamptz')],
  primaryKey: ['id'],
  indexed: true,
  similar: [],
};
const codes = (table: CatalogTable): readonly string[] => findProblems(table, config, 'cdc_poller').map(({ code }) => code);

test('a table that fits has no findings', () => {
  assert.deepEqual(codes(orders), []);
});

test('an unknown table is named with those that may be meant', () => {
  const [finding] = findProblems({ ...orders, exists: false, similar: ['public.order'] }, config, 'cdc_poller');
  assert.equal(finding?.code, 'TABLE_UNKNOWN');
  assert.match(finding.remedy, /public\.order/);
});

test('every finding of a table is told at once, with table, column and remedy', () => {
  const findings = findProblems(
    { ...orders, readable: false, columns: [column('id', 'uuid'), column('updated_at', 'timestamptz', false)] },
    config,
    'cdc_poller',
  );
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['SELECT_MISSING', 'COLUMN_NULLABLE', 'COLUMN_TYPE_UNFIT'],
  );
  const error = problemsError(findings);
  assert.equal(error.code, 'TABLES_UNFIT');
  for (const text of ['GRANT SELECT ON public.orders', 'public.orders.updated_at', 'SET NOT NULL', 'public.orders.id', 'uuid'])
    assert.ok(error.message.includes(text), text);
});

test('a column that does not exist is told with those that fit', () => {
  const [finding] = findProblems({ ...orders, columns: [column('id', 'int8'), column('changed', 'timestamptz')] }, config, 'cdc_poller');
  assert.equal(finding?.code, 'COLUMN_UNKNOWN');
  assert.match(finding.remedy, /changed/);
});

test('a page compares row values, and leaves what is below the horizon to the server', () => {
  const shape = { id: orders.id, columns: orders.columns, key: [0], timestamp: 1, incrementing: 0 };
  const pass = {
    kind: 'poll',
    from: 0n,
    below: null,
    horizon: 2n ** 32n + 7n,
    nextHorizon: 9n,
    cursor: { timestamp: '2026-01-01 00:00:00+00', id: '5' },
  } as const;
  const { text, values } = pageQuery(shape, pass, 1000);
  assert.equal(
    text,
    'select xmin, (SELECT pg_snapshot_xmax(pg_current_snapshot())), "id", "updated_at" from "public"."orders" ' +
      'where ("updated_at", "id") > ($1::timestamptz, $2::bigint) and age(xmin) <= age($3::xid) order by "updated_at" asc, "id" asc limit $4',
  );
  assert.deepEqual(values, ['2026-01-01 00:00:00+00', '5', '7', '1000']);
});
