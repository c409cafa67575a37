import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { escapeIdentifier } from 'pg';
import * as z from 'zod';
import type { WantedMirror } from '#read-model/index.ts';
import type { RunningService } from '#services/index.ts';
import { readListQuery } from '#services/query-api/lists/list-query.ts';
import { pageQuestion } from '#services/query-api/lists/page-sql.ts';
import { readCatalogue } from '#services/query-api/model/catalogue.ts';
import { randomBelow } from '#test/support/order-history.ts';
import { createQueryApiScene, get, type QueryApiScene } from '#test/support/query-api.ts';

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);

const columns = { id: 'bigint', part: 'text', a: 'int4', b: 'text', c: 'numeric', d: 'float8', e: 'timestamptz' } as const;
type Column = keyof typeof columns;
const indexes: readonly (readonly Column[])[] = [['part', 'id'], ['a'], ['a', 'b'], ['b', 'c', 'a'], ['d', 'e'], ['e']];

const listed: WantedMirror = {
  source: { schema: 'public', table: 'listed' },
  table: 'listed',
  columns: Object.entries(columns).map(([name, type]) => ({ name, type })),
  key: ['part', 'id'],
  deletes: 'remove',
  history: false,
  follows: true,
};

let scene: QueryApiScene;
let api: RunningService;

before(async () => {
  scene = await createQueryApiScene({ mirrors: [listed] });
  const { read } = scene.model;
  for (const index of indexes.slice(1)) await read.query(`CREATE INDEX ON model.listed (${index.join(', ')})`);
  await read.query('ALTER TABLE model.listed ALTER COLUMN e SET NOT NULL');
  const below = randomBelow(seed);
  const one = (values: readonly string[]): string => values[below(values.length)] ?? 'NULL';
  const rows = Array.from({ length: 300 }, (_, id) => [
    `${BigInt(id) * 2n ** 54n}`,
    one(["''", "'a'", "'é'", "'a b'", `'"\\'`]),
    one(['NULL', '-2147483648', '0', '1', '2']),
    one(['NULL', "''", "'A'", "'a'", "'Z'", "'z, ä'"]),
    one(['NULL', '0', '0.00', '-1.10', '12345678901234567890.1', "'NaN'", "'Infinity'"]),
    one(['NULL', "'NaN'", "'-Infinity'", '0.1', '1e300', "'-0'"]),
    one(["'infinity'", "'-infinity'", "'2026-01-01 00:00:00.000001+00'", "'2026-01-01 00:00:00.000002+00'", "'0044-03-15 00:00:00+00 BC'"]),
  ]);
  await read.query(`INSERT INTO model.listed VALUES ${rows.map((row) => `(${row.join(', ')})`).join(', ')}`);
  api = await scene.start();
});
after(() => scene[Symbol.asyncDispose]());

const page = z.object({ items: z.array(z.object({ id: z.string() })), next: z.string().nullable() });

/** All pages of a list, one after the other. */
async function idsOf(parameters: URLSearchParams): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let next: string | null = ''; next !== null;) {
    if (next !== '') parameters.set('cursor', next);
    const { status, text } = await get(api, `/v1/listed?${parameters.toString()}`);
    assert.equal(status, 200, text);
    const read = page.parse(JSON.parse(text));
    ids.push(...read.items.map(({ id }) => id));
    next = read.next;
    assert.ok(ids.length <= 300);
  }
  return ids;
}

test(`pages put together are the list, for every index, filter, direction and size of page (seed ${seed})`, async () => {
  const below = randomBelow(seed + 1);
  const { read } = scene.model;
  for (const index of indexes) {
    for (let filtered = 0; filtered < index.length; filtered += 1) {
      for (const descending of [false, true]) {
        const order = index.slice(filtered);
        // A value that a row has; null is no value to filter by.
        const [sample] = await read.query(
          `SELECT ${index.map((name) => `${name}::text`).join(', ')} FROM model.listed WHERE ${index.map((name) => `${name} IS NOT NULL`).join(' AND ')} ORDER BY id OFFSET ${below(20)} LIMIT 1`,
        );
        const filters = index.slice(0, filtered).map((name) => [name, sample?.[name] ?? ''] as const);
        const parameters = new URLSearchParams({
          limit: String(1 + below(40)),
          order: order.join(','),
          desc: String(descending),
          fields: 'id',
        });
        for (const [name, value] of filters) parameters.set(name, value);
        const direction = descending ? ' DESC' : '';
        const whole = await read.query(
          `SELECT l.id::text FROM model.listed l WHERE ${['true', ...filters.map(([name], at) => `${escapeIdentifier(name)} = $${at + 1}::${columns[name]}`)].join(' AND ')}
            ORDER BY ${[...order, 'part', 'id'].map((name) => `l.${name}${direction}`).join(', ')}`,
          filters.map(([, value]) => value),
        );
        const found = await idsOf(parameters);
        assert.deepEqual(
          found,
          whole.map(({ id }) => id),
          parameters.toString(),
        );
      }
    }
  }
});

test('a page reads no further than it is long, wherever it begins', async () => {
  const { read, prefix } = scene.model;
  await read.query(
    `INSERT INTO model.listed (part, id, a, e) SELECT 'many', i, nullif(i % 30000, 7), '2026-01-01' FROM generate_series(1000, 60000) AS i; ANALYZE model.listed`,
  );
  const table = (await readCatalogue(read.pool, 'model', prefix)).tables.get('listed');
  assert.ok(table);
  for (const [order, place] of [
    ['part,id', ['many', '50000']],
    ['a', ['15000', 'many', '45000']],
  ] as const) {
    const query = readListQuery(table, new URLSearchParams({ order, limit: '10' }), { defaultLimit: 10, maxLimit: 10 });
    const { sql, values } = pageQuestion({ from: 'model.listed' }, table, { ...query, after: place }, 1e6);
    const explain = `EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`;
    const [plan] = await read.query(explain, [...values]);
    const text = plan?.['QUERY PLAN'] ?? '';
    assert.doesNotMatch(text, /Seq Scan/, order);
    for (const [, rows] of text.matchAll(/"(?:Actual Rows|Rows Removed by Filter)": (?<rows>\d+)/g))
      assert.ok(Number(rows) <= 100, `${order}: ${rows} rows: ${text}`);
  }
});

test('each example of the OpenAPI document is answered as it says', async () => {
  const document = openApi.parse(JSON.parse((await get(api, '/openapi.json')).text));
  let executed = 0;
  for (const [path, { get: operation }] of Object.entries(document.paths)) {
    const inPath = operation.parameters.filter((parameter) => parameter.in === 'path');
    const address = inPath.reduce((text, { name, example }) => text.replace(`{${name}}`, encodeURIComponent(String(example))), path);
    const examples = operation.parameters.filter((parameter) => parameter.in === 'query' && parameter.example !== undefined);
    for (const parameter of [null, ...examples]) {
      const query = parameter === null ? '' : `?${new URLSearchParams({ [parameter.name]: String(parameter.example) }).toString()}`;
      const { status, text, headers } = await get(api, `${address}${query}`);
      assert.ok(status === 200 || (status === 404 && inPath.length > 0), `${address}${query}: ${status} ${text}`);
      const answer = document.resolve(operation.responses[String(status)]);
      const type = (headers.get('content-type') ?? '').split(';', 1)[0] ?? '';
      const { schema } = z.object({ schema: z.record(z.string(), z.unknown()) }).parse(answer.content?.[type]);
      z.fromJSONSchema(document.inlined(schema)).parse(JSON.parse(text));
      executed += 1;
    }
  }
  assert.ok(executed > 10, `${executed}`);
});

const parameter = z.object({ name: z.string(), in: z.enum(['path', 'query']), example: z.union([z.string(), z.number()]).optional() });
const response = z.object({ content: z.record(z.string(), z.unknown()).optional() });
const openApi = z
  .looseObject({
    openapi: z.literal('3.1.0'),
    paths: z.record(
      z.string(),
      z.object({ get: z.object({ parameters: z.array(parameter), responses: z.record(z.string(), z.unknown()) }) }),
    ),
    components: z.looseObject({
      responses: z.record(z.string(), response),
      schemas: z.record(z.string(), z.record(z.string(), z.unknown())),
    }),
  })
  .transform((document) => ({
    ...document,
    resolve: (found: unknown): z.output<typeof response> => {
      const reference = z.object({ $ref: z.string() }).safeParse(found);
      if (!reference.success) return response.parse(found);
      return document.components.responses[reference.data.$ref.split('/').at(-1) ?? ''] ?? {};
    },
    /** References to components become those of a schema alone. */
    inlined: (schema: Readonly<Record<string, unknown>>): Record<string, unknown> => ({
      ...asRecord.parse(JSON.parse(JSON.stringify(schema).replaceAll('#/components/schemas/', '#/$defs/'))),
      $defs: document.components.schemas,
    }),
  }));
const asRecord = z.record(z.string(), z.unknown());
