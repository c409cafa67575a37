import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unavailableValue, type JsonValue } from '#change-events/index.ts';
import { commitBatches } from '#read-model/apply/commit-batches.ts';
import { createDirectModel, type DirectModel } from '#test/support/direct-apply.ts';
import { upsert, type Columns } from '#test/support/order-events.ts';

/** Per type: values as the contract writes them, each with the literal of the value that Postgres must then have. */
const types: Readonly<Record<string, readonly (readonly [JsonValue, string])[]>> = {
  smallint: [[-32768, '-32768']],
  integer: [[2147483647, '2147483647']],
  bigint: [
    [9223372036854775807n, '9223372036854775807'],
    [-9007199254740993n, '-9007199254740993'],
  ],
  numeric: [
    ['12345678901234567890.123456789', '12345678901234567890.123456789'],
    ['1.5000', '1.5000'],
    ['NAN', 'NaN'],
    ['POSITIVE_INFINITY', 'Infinity'],
  ],
  'numeric(20,4)': [['1.5000', '1.5000']],
  real: [
    [1.1, '1.1'],
    ['NaN', 'NaN'],
  ],
  'double precision': [
    [0.1, '0.1'],
    [1e-300, '1e-300'],
    [1e300, '1e300'],
    ['-Infinity', '-Infinity'],
  ],
  boolean: [
    [true, 'true'],
    [false, 'false'],
  ],
  text: [
    ['', ''],
    ['NULL', 'NULL'],
    ['a "quoted" \\ {brace}, comma\n newline ü 😀', 'a "quoted" \\ {brace}, comma\n newline ü 😀'],
  ],
  'varchar(10)': [['tenletters', 'tenletters']],
  'char(5)': [['ab   ', 'ab']],
  uuid: [['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']],
  timestamptz: [
    ['2026-11-22T15:00:00.123456Z', '2026-11-22 15:00:00.123456+00'],
    ['infinity', 'infinity'],
    ['-0043-03-15T12:00:00Z', '0044-03-15 12:00:00+00 BC'],
    ['+12345-01-01T00:00:00Z', '12345-01-01 00:00:00+00'],
    ['0000-12-31T00:00:00.000000Z', '0001-12-31 00:00:00+00 BC'],
  ],
  timestamp: [
    ['2026-11-23T00:00:00.123456Z', '2026-11-23 00:00:00.123456'],
    ['-290308-12-21T19:59:27.6Z', '-infinity'],
    ['0000-12-31T23:59:59.999999Z', '0001-12-31 23:59:59.999999 BC'],
  ],
  'timestamp(3)': [['2026-11-23T00:00:00.123Z', '2026-11-23 00:00:00.123']],
  date: [
    ['2026-02-28Z', '2026-02-28'],
    ['+292278994-08-16Z', 'infinity'],
    ['-5877611-06-21Z', 'infinity'],
    ['infinity', 'infinity'],
    ['0000-12-31Z', '0001-12-31 BC'],
    ['-0043-03-15Z', '0044-03-15 BC'],
  ],
  time: [['23:59:59.999999Z', '23:59:59.999999']],
  timetz: [['03:00:00.5Z', '03:00:00.5+00']],
  interval: [
    ['P1Y2M3DT4H5M6.789S', '1 year 2 mons 3 days 04:05:06.789'],
    ['P-1Y-2M3DT-4H-5M-6.789S', '-1 year -2 mons +3 days -04:05:06.789'],
    ['-infinity', '-infinity'],
  ],
  json: [['{"b": 1, "a":  12345678901234567890.5}', '{"b": 1, "a":  12345678901234567890.5}']],
  jsonb: [['{"a": [1, null], "n": 12345678901234567890.123}', '{"a": [1, null], "n": 12345678901234567890.123}']],
  bytea: [
    ['', '\\x'],
    ['AP8Q', '\\x00ff10'],
  ],
  'bit(5)': [['FQ==', '10101']],
  'bit(12)': [['AQg=', '100000000001']],
  'bit(1)': [[true, '1']],
  'integer[]': [
    [[1, null, 3], '{1,NULL,3}'],
    [[], '{}'],
    [
      [
        [1, 2],
        [3, 4],
      ],
      '{{1,2},{3,4}}',
    ],
  ],
  'bigint[]': [[[9223372036854775807n], '{9223372036854775807}']],
  'numeric[]': [[['1.50', 'NAN'], '{1.50,NaN}']],
  'text[]': [[['a,b', 'with "quotes"', 'null', '', null, 'back\\slash'], '{"a,b","with \\"quotes\\"","null","",NULL,"back\\\\slash"}']],
  'timestamptz[]': [[['2026-11-22T15:00:00.123456Z'], '{"2026-11-22 15:00:00.123456+00"}']],
  'model.mood': [['so so', 'so so']],
  'model.mood[]': [[['so so', null], '{"so so",NULL}']],
  'model.positive': [[7, '7']],
  inet: [['192.168.0.1/24', '192.168.0.1/24']],
  money: [['1234.56', '1234.56']],
  point: [[{ x: 1.5, y: -2, wkb: '', srid: null }, '(1.5,-2)']],
  int4range: [['[1,5)', '[1,5)']],
  // As it is from the poller, and as the base64 of its bytes from Debezium, which does not know the type.
  box: [
    ['(1,1),(0,0)', '(1,1),(0,0)'],
    ['KDEuMCwxLjApLCgwLjAsMC4wKQ==', '(1,1),(0,0)'],
  ],
  'box[]': [[['(1,1),(0,0)', null, 'KDEuMCwxLjApLCgwLjAsMC4wKQ=='], '{(1,1),(0,0);NULL;(1,1),(0,0)}']],
  xid8: [
    ['12345678', '12345678'],
    ['MTg0NDY3NDQwNzM3MDk1NTE2MTU=', '18446744073709551615'],
  ],
  regclass: [
    ['pg_class', 'pg_class'],
    ['cGdfY2xhc3M=', 'pg_class'],
  ],
  int4multirange: [
    ['{[1,5),[7,8)}', '{[1,5),[7,8)}'],
    ['e1sxLDUpLFs3LDgpfQ==', '{[1,5),[7,8)}'],
  ],
  'model.pair': [
    ['(1,"x y")', '(1,"x y")'],
    ['KDEsInggeSIp', '(1,"x y")'],
  ],
  oidvector: [[[3, 4], '3 4']],
  'int2vector[]': [
    [[[3, 4], [5], null], '{"3 4",5,NULL}'],
    [[[[3, 4], []]], '{{"3 4",""}}'],
  ],
  // Types of a user's own that are called as built-in ones.
  'model."interval"': [['month', 'month']],
  'model."bool"': [['yes', 'yes']],
  'model.positive[]': [[[1, null], '{1,NULL}']],
  'model.positives': [[[1, 2], '{1,2}']],
  'model.positives[]': [[[[1, 2], null, [3]], '{"{1,2}",NULL,"{3}"}']],
};

const columns = Object.keys(types).map((type, index) => ({ type, name: `c${index} "${type.slice(0, 50)}"`, cases: types[type] ?? [] }));
const rounds = Math.max(...columns.map(({ cases }) => cases.length));

async function createWide(direct: DirectModel): Promise<void> {
  await direct.read.query(`CREATE TYPE model.mood AS ENUM ('so so', 'fine'); CREATE DOMAIN model.positive AS integer CHECK (VALUE > 0);
    CREATE DOMAIN model.positives AS model.positive[]; CREATE TYPE model.pair AS (a int, b text);
    CREATE TYPE model."interval" AS ENUM ('month'); CREATE TYPE model."bool" AS ENUM ('yes')`);
  const list = columns.map(({ name, type }) => `"${name.replaceAll('"', '""')}" ${type}`);
  await direct.read.query(`CREATE TABLE model.wide (id bigint PRIMARY KEY, ${list.join(', ')}, _lsn bigint)`);
  await direct.read.query(
    `INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('wide', 'public', 'wide')`,
  );
  await direct.reload();
  await direct.place('wide');
}

test('every value of the contract arrives as exactly the value that it represents', async () => {
  for (const copies of [true, false]) {
    await using direct = await createDirectModel({ copies });
    await createWide(direct);
    await applyEveryValue(direct);
    assert.deepEqual(direct.copies, copies ? [true] : []);
  }
});

async function applyEveryValue(direct: DirectModel): Promise<void> {
  const row = (round: number): Columns & { id: number } => ({
    id: round,
    ...Object.fromEntries(columns.map(({ name, cases }) => [name, (cases[round] ?? cases[0])?.[0] ?? null])),
  });
  const nulls = { id: 99, ...Object.fromEntries(columns.map(({ name }) => [name, null])) };
  const messages = [...Array.from({ length: rounds }, (_, round) => upsert('wide', row(round))), upsert('wide', nulls)];
  await commitBatches(direct.pool, direct.model, [direct.batch('wide', 0, messages)]);
  const wrong: unknown[] = [];
  for (const { name, type, cases } of columns) {
    const column = `"${name.replaceAll('"', '""')}"`;
    for (const [round, [sent, literal]] of cases.entries()) {
      const [stored] = await direct.read.query(
        `SELECT ${column}::text AS stored, ($1::text::${type})::text AS meant FROM model.wide WHERE id = $2`,
        [literal, round],
      );
      if (stored?.['stored'] !== stored?.['meant']) wrong.push({ type, sent, ...stored });
    }
  }
  assert.deepEqual(wrong, []);
  const [counted] = await direct.read.query(
    `SELECT count(*) AS given FROM model.wide w, jsonb_each(to_jsonb(w)) e WHERE w.id = 99 AND e.value <> 'null'`,
  );
  // id and _lsn.
  assert.equal(counted?.['given'], '2');
}

test('a value that does not fit its column is refused, not cut', async () => {
  await using direct = await createDirectModel();
  await direct.read.query('CREATE TABLE model.narrow (id bigint PRIMARY KEY, v varchar(3), c char(2), b bit(3), _lsn bigint)');
  await direct.read.query(
    `INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('narrow', 'public', 'narrow')`,
  );
  await direct.reload();
  await direct.place('narrow');
  for (const given of [
    { v: 'four', c: null, b: null },
    { v: null, c: 'abc', b: null },
    { v: null, c: null, b: 'FQ==' },
  ]) {
    const batch = direct.batch('narrow', 0, [upsert('narrow', { id: 1, ...given })]);
    await assert.rejects(commitBatches(direct.pool, direct.model, [batch]), /too long|does not match type/);
  }
});

test('every form of an unavailable value keeps what is stored', async () => {
  await using direct = await createDirectModel();
  await direct.read.query(
    'CREATE TABLE model.toast (id bigint PRIMARY KEY, n text, t text, j jsonb, b bytea, a text[], i integer[], u uuid[], _lsn bigint)',
  );
  await direct.read.query(
    `INSERT INTO model.mirrored_tables (mirror_table, source_schema, source_table) VALUES ('toast', 'public', 'toast')`,
  );
  await direct.reload();
  await direct.place('toast');
  const bytes = Buffer.from(unavailableValue);
  const uuid = '6bd5bde0-32d8-4db5-a1c1-b8c9d7bb33fc';
  const whole = { t: 'text', j: '{"a": 1}', b: 'AQI=', a: ['x'], i: [1, 2], u: [uuid] };
  const gone = {
    t: unavailableValue,
    j: unavailableValue,
    b: bytes.toString('base64'),
    a: [unavailableValue],
    i: [...bytes],
    // Java's UUID.nameUUIDFromBytes of the placeholder.
    u: ['b68a35a7-17ad-35b3-af2a-ae46edb4545a'],
  };
  await commitBatches(direct.pool, direct.model, [direct.batch('toast', 0, [upsert('toast', { id: 1, n: 'old', ...whole })])]);
  const [before] = await direct.read.query('SELECT t, j, b, a, i, u FROM model.toast');
  await commitBatches(direct.pool, direct.model, [direct.batch('toast', 1, [upsert('toast', { id: 1, n: 'new', ...gone }, 'u')])]);
  assert.deepEqual(await direct.read.query('SELECT t, j, b, a, i, u FROM model.toast'), [before]);
  assert.deepEqual(await direct.read.query('SELECT n FROM model.toast'), [{ n: 'new' }]);
});
