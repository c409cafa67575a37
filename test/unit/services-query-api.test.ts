import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as assertProperty, bigInt, dictionary, json, nat, oneof, property, string, stringMatching, tuple } from 'fast-check';
import { pipelineSchema } from '#pipeline/index.ts';
import { formatPosition, hasReached, parseWanted, readOffsets } from '#read-model/freshness/position.ts';
import { headersOf } from '#services/query-api/http/freshness-headers.ts';
import { openApiDocument } from '#services/query-api/http/openapi.ts';
import { Problem, problemKinds } from '#services/http/problems.ts';
import { writeCursor } from '#services/query-api/lists/cursor.ts';
import { readListQuery } from '#services/query-api/lists/list-query.ts';
import { pageQuestion } from '#services/query-api/lists/page-sql.ts';
import { grantsSql } from '#services/query-api/model/role.ts';
import type { Table } from '#services/query-api/model/catalogue.ts';
import type { Column } from '#services/query-api/model/values.ts';

function column(name: string, base: string, notNull = false): Column {
  return { name, type: base === 'int8' ? 'bigint' : base, base, isArray: false, notNull };
}

const id = column('id', 'int8', true);
const state = column('sta"tus', 'text');
const table: Table = {
  name: 'order"s',
  kind: 'mirror',
  source: { schema: 'public', table: 'order"s' },
  columns: [id, state],
  key: [id],
  indexes: [[id], [state]],
  deleted: null,
  topics: ['log.public.orders'],
};
const limits = { defaultLimit: 100, maxLimit: 1000 };

test('a position is read as it was written, whatever its topics, partitions and offsets', () => {
  const topic = stringMatching(/^[\w.-]{1,40}$/);
  const places = dictionary(
    tuple(topic, nat(999)).map(([name, partition]) => `${name}/${partition}`),
    bigInt({ min: 0n, max: 2n ** 59n }),
    { minKeys: 1, maxKeys: 20, noNullPrototype: true },
  );
  assertProperty(
    property(places, (found) => {
      const position = new Map(Object.entries(found));
      const wanted = parseWanted(formatPosition(position));
      assert.ok(wanted?.kind === 'offsets');
      assert.deepEqual(Object.fromEntries(wanted.offsets), Object.fromEntries(position));
      assert.equal(hasReached({ offsets: position, asOf: null }, wanted), true);
      const [place = '', offset = 0n] = [...position][0] ?? [];
      assert.equal(hasReached({ offsets: new Map(position).set(place, offset - 1n), asOf: null }, wanted), false);
    }),
  );
  assert.deepEqual(
    readOffsets('a/0=1 a.b/12=9007199254740993'),
    new Map([
      ['a/0', 1n],
      ['a.b/12', 9_007_199_254_740_993n],
    ]),
  );
});

function micros(text: string): bigint | null {
  const wanted = parseWanted(text);
  return wanted?.kind === 'time' ? wanted.micros : null;
}

test('a time is read to the microsecond, of any zone; what is finer counts as later, and what is neither is refused', () => {
  assert.equal(micros('2026-01-31T12:00:00.123456Z'), BigInt(Date.parse('2026-01-31T12:00:00Z')) * 1000n + 123_456n);
  assert.equal(micros('2026-01-31T13:00:00.5+01:00'), micros('2026-01-31T12:00:00.500Z'));
  assert.equal(micros('2026-01-31T12:00:00.0000001Z'), micros('2026-01-31T12:00:00.000001Z'));
  for (const text of [
    '',
    '2026-01-31',
    '2026-01-31T12:00:00',
    '2026-99-31T12:00:00Z',
    'a:0=1,',
    'a:0=-1',
    'a:b=1',
    ':0=1',
    'a b:0=1',
    `a:0=${'9'.repeat(19)}`,
    `${'a'.repeat(250)}:0=1`,
  ])
    assert.equal(parseWanted(text), null, text);
});

test('nothing is called fresh that is not known', () => {
  const applied = { fingerprint: '', position: new Map(), asOf: null, stalenessMs: null };
  assert.deepEqual(headersOf(applied, 1000), { freshness: 'unknown' });
  const known = { ...applied, position: new Map([['t/0', 5n]]), asOf: 1_000_001n, stalenessMs: 1001n };
  assert.deepEqual(headersOf(known, 1000), {
    position: 't:0=5',
    'as-of': '1970-01-01T00:00:01.000001Z',
    'staleness-ms': '1001',
    freshness: 'stale',
  });
  assert.equal(headersOf({ ...known, stalenessMs: 1000n }, 1000)['freshness'], 'fresh');
});

test('whatever a cursor says, it is one of this list or refused, and never part of the SQL', () => {
  const refused = (cursor: string): boolean => {
    try {
      const query = readListQuery(table, new URLSearchParams({ order: 'sta"tus', cursor }), limits);
      assert.equal(query.after?.length, 2);
      return false;
    } catch (error) {
      assert.ok(error instanceof Problem && error.kind === 'cursor-invalid');
      return true;
    }
  };
  assertProperty(
    property(
      oneof(
        string(),
        json().map((text) => Buffer.from(text).toString('base64url')),
      ),
      (cursor) => refused(cursor),
    ),
  );
  const list = readListQuery(table, new URLSearchParams({ order: 'sta"tus' }), limits);
  assert.equal(refused(writeCursor(table, list, ["'; DROP TABLE x --", '1'])), false);
  assert.equal(refused(writeCursor(table, list, [null, '1'])), false);
  assert.equal(refused(writeCursor(table, list, ['a', null])), true, 'a key is never null');
  assert.equal(refused(writeCursor(table, list, ['a'])), true);
  assert.equal(refused(writeCursor(table, { ...list, descending: true }, ['a', '1'])), true);
  const hostile = "'; DROP TABLE x --";
  const { sql, values } = pageQuestion({ from: '"mo""del"."order""s"' }, table, { ...list, after: [hostile, '1'] }, 1000);
  assert.ok(!sql.includes('DROP TABLE'));
  assert.ok(values.includes(hostile));
  assert.match(sql, /"mo""del"\."order""s" t WHERE t\."sta""tus" = \$1::text AND \(t\."id"\) > \(\$2::bigint\)/);
});

test('the OpenAPI document of a table', () => {
  const document = openApiDocument({ model: 'log_model', tables: [table], auth: 'jwt', ...limits });
  const paths: unknown = document['paths'];
  assert.ok(typeof paths === 'object' && paths !== null);
  assert.deepEqual(Object.keys(paths), ['/v1/order%22s', '/v1/order%22s/{id}']);
  const { components, security } = document;
  assert.deepEqual(security, [{ bearer: [] }]);
  assert.ok(typeof components === 'object' && components !== null && 'schemas' in components);
  const { Problem: problem, ...rows } = JSON.parse(JSON.stringify(components.schemas));
  assert.ok(problem);
  assert.deepEqual(rows, {
    order_22_s: {
      type: 'object',
      description: 'With fields, these columns only.',
      properties: {
        id: { type: 'string', pattern: '^-?[0-9]+$', description: 'bigint: every digit, as a string.', 'x-postgres-type': 'bigint' },
        'sta"tus': { type: ['string', 'null'], 'x-postgres-type': 'text' },
      },
      additionalProperties: false,
    },
  });
  const open = openApiDocument({ model: 'log_model', tables: [table], auth: 'none', ...limits });
  assert.equal(open['security'], undefined);
});

test('each problem has a status and a title of its own kind', () => {
  for (const { kind, status, title } of problemKinds) {
    const body: unknown = JSON.parse(new Problem(kind, 'why').body());
    assert.deepEqual(body, { type: `urn:cdc:problem:${kind}`, title, status, detail: 'why' });
    assert.ok(status >= 400 && status < 600);
  }
});

test('the grants are quoted, read alone, and hold for tables that come later', () => {
  const sql = grantsSql(
    { user: 'a"pi', model: 'model', database: 'read', owner: 'read_model' },
    { fingerprint: '', tables: new Map([[table.name, table]]) },
  );
  assert.ok(sql.includes('GRANT SELECT ON model."order""s" TO "a""pi"'));
  assert.equal(sql.at(-1), 'ALTER DEFAULT PRIVILEGES FOR ROLE read_model IN SCHEMA model GRANT SELECT ON TABLES TO "a""pi"');
  for (const line of sql) assert.match(line, /^(?:GRANT (?:SELECT ON|USAGE ON SCHEMA|CONNECT ON DATABASE)|ALTER DEFAULT PRIVILEGES) /);
});

function config(queryApi: Readonly<Record<string, unknown>>): boolean {
  return pipelineSchema.safeParse({
    legacyDb: { database: 'd', roles: { poller: { user: 'p' } } },
    kafka: { brokers: 'k:1' },
    services: { queryApi: { user: 'api', ...queryApi } },
  }).success;
}

test('the configuration says whether tokens are needed, and by which keys', () => {
  const jwt = { issuer: 'https://i.test', audience: 'a', jwksUrl: 'https://i.test/keys' };
  assert.equal(config({}), false, 'off only by saying so');
  assert.equal(config({ auth: 'none' }), true);
  assert.equal(config({ auth: 'jwt' }), false);
  assert.equal(config({ auth: 'jwt', jwt }), true);
  for (const algorithms of [['HS256'], ['none'], []])
    assert.equal(config({ auth: 'jwt', jwt: { ...jwt, algorithms } }), false, algorithms.join(','));
  assert.equal(config({ auth: 'none', defaultLimit: 50, maxLimit: 10 }), false);
});
