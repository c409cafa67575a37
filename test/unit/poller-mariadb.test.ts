import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeMariadbColumn, mariadbKeyText } from '#cdc-poller/mariadb/values/value-encoders.ts';
import type { Observation } from '#cdc-poller/fence/floor.ts';
import { judgeRow, type Pass } from '#cdc-poller/fence/pass.ts';
import { RememberedKeys } from '#cdc-poller/fence/remembered-keys.ts';
import { isNarrow, windowFigures, worse } from '#cdc-poller/metrics/window-figures.ts';
import { adoptPosition, type Present } from '#cdc-poller/position/adopt.ts';
import { advance } from '#cdc-poller/position/advance.ts';
import { marginOf } from '#cdc-poller/position/margin.ts';
import { afterPass, nextPass, startPosition, type Basis, type Position } from '#cdc-poller/position/position.ts';
import { findProblems } from '#cdc-poller/source/judge/judge-table.ts';
import { collationOf } from '#cdc-poller/mariadb/values/key-types.ts';
import { mariadbPageQuery } from '#cdc-poller/mariadb/page-query.ts';
import { castOf, columnTypeOf } from '#cdc-poller/mariadb/values/types.ts';
import { shapeOf, type TableShape } from '#cdc-poller/source/table/table-shape.ts';
import type { CatalogColumn, CatalogTable } from '#cdc-poller/source/table/catalog-table.ts';
import { mariadbWords } from '#cdc-poller/mariadb/words.ts';
import { pollerTableSchema } from '#pipeline/config/settings/poller-table-settings.ts';
import { parseConfig, pipelineSchema, postgresClientConfig, type PollerTableConfig } from '#pipeline/index.ts';

const declared = (name: string, columnType: string): CatalogColumn => {
  const type = { dataType: columnType.replace(/[ (].*/, ''), columnType };
  return { name, type: columnTypeOf(type), sqlType: castOf(type), notNull: true, readable: true };
};

const orders: CatalogTable = {
  id: { schema: 'shop', table: 'orders' },
  exists: true,
  kind: 'b',
  readable: true,
  columns: [
    declared('id', 'bigint(20) unsigned'),
    declared('code', 'binary(4)'),
    declared('price', 'float'),
    declared('updated_at', 'timestamp(3)'),
  ],
  primaryKey: ['id'],
  uniqueKeys: [['id']],
  indexes: [['id'], ['updated_at', 'id']],
  sequence: { oid: '', name: 'AUTO_INCREMENT', increment: 1n, cache: 1n, cycles: false, readable: false, next: 8n },
  similar: [],
  relation: { oid: 'shop.orders', file: '', columnsHash: '1', keyIndex: '' },
};

function shaped(settings: Partial<PollerTableConfig> = {}): TableShape {
  return shapeOf(orders, { ...pollerTableSchema.parse({ table: 'shop.orders' }), ...settings }, '', mariadbWords);
}

const poll: Pass = { kind: 'poll', from: 1_000_000n, below: null, horizon: null, nextHorizon: 0n, cursor: null };

function own(text: string): string {
  return text.replaceAll('`source`.', '');
}

test('a page after a row asks for ranges of the index; bytes and floats are read whole, numbers compared as such', () => {
  const { text: page, values } = mariadbPageQuery(shaped(), { ...poll, cursor: ['2026-01-01 00:00:00.500', '18446744073709551615'] }, 7);
  const text = own(page);
  assert.deepEqual(values, []);
  assert.ok(text.includes('select NULL AS xmin'), text);
  assert.ok(text.includes('`id`, HEX(`code`), CAST(`price` AS DOUBLE), `updated_at` from `shop`.`orders` as `source`'), text);
  const at = "CAST('2026-01-01 00:00:00.500' AS DATETIME(6))";
  assert.ok(
    text.endsWith(
      `where ((\`updated_at\` > ${at}) or (\`updated_at\` = ${at} AND \`id\` > CAST('18446744073709551615' AS UNSIGNED))) order by \`updated_at\` asc, \`id\` asc limit 7`,
    ),
    text,
  );
  assert.ok(
    own(mariadbPageQuery(shaped(), poll, 7).text).includes("`updated_at` >= CAST('1970-01-01 00:00:01.000000' AS DATETIME(6)) order"),
  );
  const byCode = own(
    mariadbPageQuery(shaped({ mode: 'bulk', key: ['code'] }), { ...poll, kind: 'whole', from: null, cursor: ["0a'--"] }, 7).text,
  );
  assert.ok(byCode.includes("(`code` > UNHEX('0a''--'))"), byCode);
});

test('a question mark or a quote in a configured query is the query’s own', () => {
  const query = "SELECT id, code, price, updated_at, '?' AS what FROM orders WHERE code <> '\\'?'";
  const { text } = mariadbPageQuery({ ...shaped(), query, relation: null }, { ...poll, cursor: ["it's ?", '1'] }, 7);
  assert.ok(text.includes(`(${query}\n) as \`source\``), text);
  assert.ok(text.includes("'it''s ?'"), text);
});

const byId: Basis = { capture: 'id-window', by: ['id'], order: ['id'], key: ['id'] };
const seen: Observation = { clock: 5_000_000n, open: new Set(), snapshot: { xmin: 0n, xmax: 0n } };
const start = { systemIdentifier: 's', timeline: '1', basis: byId, relation: null, start: 'everything', margin: 10n, high: 100n } as const;
const whatever = { hasRepair: false, rememberedMax: 100 };

test('a window on ids: what comes within its width below the highest id is new once, what comes later is not', () => {
  const begun = startPosition(start, seen);
  assert.deepEqual([begun.pass?.kind, begun.pass?.below, begun.floor, begun.repair], ['load', 91n, 91n, null]);
  const loaded = afterPass(begun, begun.pass ?? assert.fail(), ['90']);
  assert.equal(loaded.high, 100n, 'the load ends below the window');
  const first = nextPass(loaded, seen, start.margin);
  assert.deepEqual([first.from, first.nextHorizon], [91n, 91n]);
  const remembered = new RememberedKeys();
  assert.equal(judgeRow(first, { xid: 95n, key: 'a' }, remembered, whatever), 'publish-and-remember');
  remembered.add(95n, 'a');
  const polled: Position = {
    ...afterPass(loaded, first, ['110']),
    floor: advance(loaded, [], seen, { margin: start.margin, drawn: null }).floor ?? 0n,
  };
  const second = nextPass(polled, seen, start.margin);
  assert.deepEqual([polled.high, polled.floor, second.from, second.horizon, second.nextHorizon], [110n, 91n, 91n, 91n, 101n]);
  assert.equal(judgeRow(second, { xid: 95n, key: 'a' }, remembered, whatever), 'skip');
  assert.equal(judgeRow(second, { xid: 96n, key: 'late' }, remembered, whatever), 'publish');
  const third = nextPass(
    { ...afterPass(polled, second, ['110']), floor: advance(polled, [], seen, { margin: start.margin, drawn: null }).floor ?? 0n },
    seen,
    start.margin,
  );
  assert.equal(third.from, 101n);
  assert.equal(judgeRow(third, { xid: 96n, key: 'too late' }, remembered, whatever), 'skip');
});

test('of an empty table, a window on ids begins with the first id', () => {
  const begun = startPosition({ ...start, high: null }, seen);
  const first = nextPass({ ...begun, pass: null }, seen, start.margin);
  assert.equal(first.from, null);
  assert.equal(judgeRow(first, { xid: 1n, key: 'a' }, new RememberedKeys(), whatever), 'publish-and-remember');
});

test('ids that begin again, and a log that has gone back, are noticed', () => {
  const position: Position = { ...startPosition(start, seen), pass: null, horizon: 91n, log: '0-1-500,1-2-7' };
  const present: Present = {
    table: 'shop.orders', systemIdentifier: 's', timeline: '1', log: '0-1-501,1-2-7', nextXid: null, basis: byId, relation: null, rescanRewritten: false, nextId: 101n,
  }; // prettier-ignore
  assert.equal(adoptPosition(position, present)?.high, 100n);
  assert.equal(adoptPosition(position, { ...present, nextId: 100n }), null, 'loaded again');
  assert.equal(adoptPosition(position, { ...present, nextId: null })?.high, 100n);
  for (const log of [null, '', '0-1-500', '0-3-1']) assert.equal(adoptPosition(position, { ...present, log })?.high, 100n, String(log));
  for (const log of ['0-1-499,1-2-7', '1-2-6']) {
    assert.throws(() => adoptPosition(position, { ...present, log }), { code: 'SOURCE_CHANGED', message: /gone back to/ }, log);
  }
  assert.throws(() => adoptPosition(position, { ...present, systemIdentifier: 'other' }), { code: 'SOURCE_CHANGED' });
});

test('a window is longer by what its column leaves out of the time', () => {
  const { poller } = pipelineSchema.parse({
    legacyDb: { dialect: 'mariadb', database: 'shop', roles: { poller: { user: 'reader' } } },
    kafka: { brokers: 'one:9092' },
    poller: { name: 'p', tables: [{ table: 'shop.orders', overlapMs: 2000 }] },
  });
  assert.ok(poller);
  const [table] = poller.tables;
  assert.ok(table);
  assert.equal(marginOf(shaped(), table, poller), 2_001_000n);
  assert.equal(marginOf(shaped({ mode: 'incrementing' }), table, poller), 1000n);
  assert.equal(marginOf(shaped({ mode: 'bulk' }), table, poller), 0n);
});

test('a window counts as narrow when a row came more than half its width late', () => {
  const early = windowFigures('window', 2_000_000n, 900_000n) ?? assert.fail();
  const late = windowFigures('window', 2_000_000n, 1_100_000n) ?? assert.fail();
  assert.deepEqual([isNarrow(early), isNarrow(late)], [false, true]);
  assert.deepEqual(worse(early, late), { unit: 'seconds', width: 2, latest: 1.1 });
  assert.deepEqual(worse(late, early), late);
  assert.equal(windowFigures('time', 1n, 1n), null);
});

test('floats: the shortest digits that read back the same 32 bits, in Java’s form', () => {
  const encode = encodeMariadbColumn({ name: 'f', type: columnTypeOf({ dataType: 'float', columnType: 'float' }) });
  assert.equal(encode('1.100000023841858'), '1.1');
  assert.equal(encode('3.4028234663852886e38'), '3.4028235E38');
  assert.equal(encode('16777216'), '1.6777216E7');
  assert.equal(encode('-0'), '-0.0');
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) =>
      assert.equal(Math.fround(Number(encode(Object.is(value, -0) ? '-0' : value.toString()))), value),
    ),
  );
});

test('a value that is not of its column’s type any more is no JSON', () => {
  assert.throws(() => encodeMariadbColumn({ name: 'i', type: columnTypeOf({ dataType: 'int', columnType: 'int(11)' }) })('abc'), TypeError);
});

function file(table: string): string {
  return `legacyDb: { dialect: mariadb, database: shop, roles: { poller: { user: reader } } }
kafka: { brokers: 'one:9092' }
poller: { name: p, tables: [{ table: shop.orders, ${table} }] }
`;
}

test('settings that only Postgres can have are refused for MariaDB, and commands that only ask Postgres', () => {
  assert.equal(parseConfig(file('overlapIds: 5'), 'f.yaml', {}).legacyDb.dialect, 'mariadb');
  assert.throws(() => parseConfig(file('sweep: {}'), 'f.yaml', {}), {
    code: 'CONFIG_INVALID',
    message: /^f\.yaml:3: poller\.tables\[0\]\.sweep: the key sweep reads Postgres only/,
  });
  assert.throws(() => parseConfig(file('onRewrite: rescan'), 'f.yaml', {}), {
    code: 'CONFIG_INVALID',
    message: /onRewrite: MariaDB does not report rewrites/,
  });
  const { legacyDb } = parseConfig(file('mode: bulk, pollIntervalMs: 1'), 'f.yaml', {});
  assert.throws(() => postgresClientConfig(legacyDb, legacyDb.roles.poller, 'doctor'), {
    code: 'DIALECT_UNSUPPORTED',
    message: /is a MariaDB/,
  });
});

test('a key of MariaDB has one text for each value that the server takes for one, or is refused', () => {
  const key = (columnType: string, collation: string | null): readonly string[] => {
    const column = { ...declared('k', columnType), collation: collationOf(collation) };
    const table = { ...orders, columns: [column, declared('updated_at', 'timestamp(3)')], primaryKey: ['k'], uniqueKeys: [['k']] };
    const config = pollerTableSchema.parse({ table: 'shop.orders', mode: 'timestamp' });
    const codes = findProblems(table, config, 'r', mariadbWords).map(({ code }) => code);
    return findProblems(table, { ...config, keysAsWritten: true }, 'r', mariadbWords).length === 0 && codes.length > 0
      ? [...codes, 'promised']
      : codes;
  };
  assert.deepEqual(key('bigint(20)', null), []);
  assert.deepEqual(key('decimal(9,2)', null), []);
  assert.deepEqual(key('varchar(9)', 'utf8mb4_bin'), []);
  assert.deepEqual(key('varchar(9)', 'utf8mb4_nopad_bin'), []);
  assert.deepEqual(key('varchar(9)', 'utf8mb4_uca1400_ai_ci'), ['KEY_UNFIT', 'promised']);
  for (const type of ['float', 'bit(4)', "enum('a')"]) assert.deepEqual(key(type, null), ['KEY_UNFIT'], type);
  const text = (columnType: string, collation: string | null, value: string): string =>
    mariadbKeyText({ ...declared('k', columnType), collation: collationOf(collation) })?.(value) ?? value;
  assert.equal(text('varchar(9)', 'utf8mb4_bin', 'a  '), 'a');
  assert.equal(text('varchar(9)', 'utf8mb4_nopad_bin', 'a  '), 'a  ');
  assert.equal(text('double', null, '-0'), '0');
  assert.throws(() => text('date', null, '0000-00-00'), TypeError);
  const unknown = { ...declared('odd', 'hyperloglog'), unknownPart: 'hyperloglog' };
  const config = pollerTableSchema.parse({ table: 'shop.orders' });
  assert.deepEqual(
    findProblems({ ...orders, columns: [...orders.columns, unknown] }, config, 'r', mariadbWords).map(
      ({ code, message }) => `${code} ${message}`,
    ),
    ['COLUMN_TYPE_UNKNOWN column shop.orders.odd has type hyperloglog: the poller does not know that its text is the whole value'],
  );
});
