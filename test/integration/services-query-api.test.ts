import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { WantedMirror } from '#read-model/index.ts';
import type { RunningService } from '#services/index.ts';
import { createQueryApiScene, get, type QueryApiScene } from '#test/support/query-api.ts';

function mirror(table: string, columns: string, key: readonly string[], deletes: 'remove' | 'mark' = 'remove'): WantedMirror {
  const listed = columns.split(', ').map((column) => {
    const [name = '', ...type] = column.split(' ');
    return { name: name.replaceAll('_blank_', ' '), type: type.join(' ') };
  });
  return { source: { schema: 'public', table }, table, columns: listed, key, deletes, history: false, follows: true };
}

const mirrors = [
  mirror(
    'things',
    'id bigint, name text, price numeric, size int4, ratio float8, seen timestamptz, day date, data json, tags int8[], raw bytea, span interval',
    ['id'],
  ),
  mirror('Odd_"name', 'a_blank_b text, limit int4, note text', ['a b', 'limit']),
  mirror('kept', 'id bigint, name text', ['id'], 'mark'),
];

let scene: QueryApiScene;
let api: RunningService;

before(async () => {
  scene = await createQueryApiScene({ mirrors });
  const { read } = scene.model;
  await read.query(
    `CREATE INDEX ON model.things (name); CREATE INDEX ON model.things (size, name); CREATE INDEX ON model.things (price) WHERE price > 1`,
  );
  await read.query(`INSERT INTO model.things VALUES
    (9223372036854775807, 'big', 12345678901234567890.123456789, 1, 'NaN', '2026-01-31 12:00:00.123456+00', '2026-01-31', '{"n": 12345678901234567890}', '{9007199254740993,NULL}', '\\xdead', '1 day'),
    (1, 'one', 1.50, 2, 0.1, null, 'infinity', null, null, null, null), (2, 'two', 2.50, 2, 1, null, null, '"x"', '{}', null, null)`);
  await read.query(`INSERT INTO model."Odd_""name" VALUES ('a/b c', 7, 'found'), ('', 1, 'empty'), ('..', 1, 'dots')`);
  await read.query(`INSERT INTO model.kept (id, name, _deleted_at) VALUES (1, 'here', null), (2, 'gone', now())`);
  api = await scene.start();
});
after(() => scene[Symbol.asyncDispose]());

test('a row by its key: every digit, and each type in its documented form', async () => {
  const { status, text, headers } = await get(api, '/v1/things/9223372036854775807');
  assert.equal(status, 200);
  assert.equal(
    text,
    '{"id":"9223372036854775807","name":"big","price":"12345678901234567890.123456789","size":1,"ratio":"NaN","seen":"2026-01-31T12:00:00.123456+00:00","day":"2026-01-31","data":{"n": 12345678901234567890},"tags":["9007199254740993",null],"raw":"\\\\xdead","span":"P1D"}\n',
  );
  assert.match(headers.get('content-type') ?? '', /^application\/json/);
  assert.equal(headers.get('freshness'), 'unknown');
  assert.equal(headers.get('x-content-type-options'), 'nosniff');
  const { text: one } = await get(api, '/v1/things/1?fields=name,price');
  assert.equal(one, '{"name":"one","price":"1.50"}\n');
});

test('names and keys of any letters: composite keys are percent-encoded segments, a column that is called as a parameter has a prefix', async () => {
  const path = `/v1/${encodeURIComponent('Odd_"name')}`;
  assert.equal((await get(api, `${path}/${encodeURIComponent('a/b c')}/7`)).text, '{"a b":"a/b c","limit":7,"note":"found"}\n');
  assert.equal((await get(api, `${path}//1`)).text, '{"a b":"","limit":1,"note":"empty"}\n');
  const filtered = await get(api, `${path}?${new URLSearchParams({ 'a b': '..', 'column.limit': '1', limit: '5' }).toString()}`);
  assert.equal(filtered.text, '{"items":[{"a b":"..","limit":1,"note":"dots"}],"next":null}\n');
});

test('rows that are marked as deleted are not shown unless asked for', async () => {
  assert.equal((await get(api, '/v1/kept/2')).status, 404);
  assert.equal((await get(api, '/v1/kept')).text, '{"items":[{"id":"1","name":"here"}],"next":null}\n');
  assert.match((await get(api, '/v1/kept/2?deleted=include')).text, /^\{"id":"2","name":"gone","_deleted_at":"20/);
  assert.match((await get(api, '/v1/kept?deleted=include')).text, /"id":"2"/);
});

test('a list is filtered and ordered by an index, page by page', async () => {
  const first = await get(api, '/v1/things?order=name&limit=2&fields=name');
  assert.match(first.text, /^\{"items":\[\{"name":"big"\},\{"name":"one"\}\],"next":"[\w-]+"\}\n$/);
  const link = /^<(?<next>[^>]+)>; rel="next"$/.exec(first.headers.get('link') ?? '')?.groups?.['next'] ?? '';
  assert.equal((await get(api, link)).text, '{"items":[{"name":"two"}],"next":null}\n');
  assert.equal(
    (await get(api, '/v1/things?size=2&order=name&desc=true&fields=id')).text,
    '{"items":[{"id":"2"},{"id":"1"}],"next":null}\n',
  );
});

test('a weak ETag answers 304 while the rows are the same', async () => {
  const { headers } = await get(api, '/v1/things/1');
  const etag = headers.get('etag') ?? '';
  assert.match(etag, /^W\/"/);
  const same = await get(api, '/v1/things/1', { 'if-none-match': `"x", ${etag}` });
  assert.deepEqual([same.status, same.text, same.headers.get('etag')], [304, '', etag]);
  await scene.model.read.query('UPDATE model.things SET size = size + 1 WHERE id = 1');
  assert.equal((await get(api, '/v1/things/1', { 'if-none-match': etag })).status, 200);
  const head = await fetch(`${api.url}/v1/things/1`, { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);
});

const refusals: Readonly<Record<string, readonly [path: string, status: number, kind: string]>> = {
  'an unknown table': ['/v1/nothing', 404, 'not-found'],
  "the read model's own table": ['/v1/freshness', 404, 'not-found'],
  'an unknown row': ['/v1/things/4711', 404, 'not-found'],
  'too short a key': ['/v1/Odd_%22name/a', 404, 'not-found'],
  'another address': ['/v2/things', 404, 'not-found'],
  'a key of another type': ['/v1/things/x', 400, 'value-invalid'],
  'a key beyond its type': ['/v1/things/9223372036854775808', 400, 'value-invalid'],
  'a NUL': ['/v1/things?name=%00', 400, 'value-invalid'],
  'broken encoding': ['/v1/things/%ff', 400, 'bad-request'],
  'an unknown column': ['/v1/things?colour=red', 400, 'unknown-parameter'],
  'the hidden column': ['/v1/things?_lsn=1', 400, 'unknown-parameter'],
  'a filter without an index': ['/v1/things?day=2026-01-31', 400, 'filter-not-indexed'],
  'a filter that only a partial index has': ['/v1/things?price=1.50', 400, 'filter-not-indexed'],
  'an order without an index': ['/v1/things?order=seen', 400, 'filter-not-indexed'],
  'a limit of none': ['/v1/things?limit=0', 400, 'bad-request'],
  'a limit beyond the most': ['/v1/things?limit=1001', 400, 'bad-request'],
  'a limit that is twice there': ['/v1/things?limit=1&limit=2', 400, 'bad-request'],
  'an unknown field': ['/v1/things?fields=name,nothing', 400, 'bad-request'],
  'a cursor that is none': ['/v1/things?cursor=abc', 400, 'cursor-invalid'],
  'deleted rows where none are kept': ['/v1/things?deleted=include', 400, 'bad-request'],
  'a position that is none': ['/v1/things?min-position=yesterday', 400, 'position-invalid'],
  'a list parameter for a row': ['/v1/things/1?limit=1', 400, 'unknown-parameter'],
};

for (const [what, [path, status, kind]] of Object.entries(refusals)) {
  test(`a problem document for ${what}`, async () => {
    const answer = await get(api, path);
    assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
    const problem: unknown = JSON.parse(answer.text);
    assert.ok(typeof problem === 'object' && problem !== null && 'type' in problem && 'detail' in problem);
    assert.deepEqual([answer.status, problem.type], [status, `urn:cdc:problem:${kind}`]);
  });
}

test('a cursor serves its own list only', async () => {
  const { text } = await get(api, '/v1/things?limit=1');
  const cursor = /"next":"(?<next>[\w-]+)"/.exec(text)?.groups?.['next'] ?? '';
  assert.equal((await get(api, `/v1/things?limit=5&cursor=${cursor}`)).status, 200);
  for (const other of ['desc=true', 'order=name', 'name=one'])
    assert.equal((await get(api, `/v1/things?${other}&cursor=${cursor}`)).status, 400, other);
});

test('a page ends before the largest answer and the next begins there; a row that is larger alone is refused', async () => {
  const small = await scene.start({ maxAnswerBytes: 10_000 });
  const { read } = scene.model;
  await read.query(`INSERT INTO model.kept (id, name) SELECT i, repeat('x', 4000) FROM generate_series(100, 105) AS i`);
  const seen: string[] = [];
  for (let path = '/v1/kept'; path !== '';) {
    const { text, headers } = await get(small, path);
    assert.ok(text.length < 10_100);
    seen.push(...[...text.matchAll(/"id":"(?<id>\d+)"/g)].map(([, id = '']) => id));
    path = /^<(?<next>[^>]+)>/.exec(headers.get('link') ?? '')?.groups?.['next'] ?? '';
  }
  assert.deepEqual(seen, ['1', '100', '101', '102', '103', '104', '105']);
  await read.query(`INSERT INTO model.kept (id, name) VALUES (50, repeat('x', 20000))`);
  assert.equal((await get(small, '/v1/kept/50')).status, 422);
  assert.equal((await get(small, '/v1/kept/50?fields=id')).text, '{"id":"50"}\n');
  await read.query('DELETE FROM model.kept WHERE id > 2');
});
