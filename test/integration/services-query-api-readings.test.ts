import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createQueryApiScene, get, type Answered, type QueryApiScene } from '#test/support/query-api.ts';
import { repeat } from '#test/support/repeat.ts';

const path = '/v1/customers/1?fields=name';
/** Each state of the model, from 1 on: the name of the customer, the position and the time have the same number. */
const states = 600;

/** What an answer says of itself, and what it has: of which state each is. */
function stateOf({ status, headers, text }: Answered): { readonly row: number; readonly position: number; readonly asOf: number } {
  assert.equal(status, 200, text);
  return {
    row: Number(/"name":"(?<name>\d+)"/.exec(text)?.[1]),
    position: Number(/=(?<offset>\d+)$/.exec(headers.get('position') ?? '')?.[1]),
    asOf: (Date.parse(headers.get('as-of') ?? '') - Date.parse('2026-01-01T00:00:00Z')) / 1000,
  };
}

async function firstState(scene: QueryApiScene): Promise<void> {
  const { read, prefix } = scene.model;
  await read.query(`INSERT INTO model.customers (id, name) VALUES (1, '1'), (2, '1');
    INSERT INTO model.applied_offsets (topic, partition, next_offset) VALUES ('${prefix}.public.customers', 0, 1);
    UPDATE model.freshness SET as_of = '2026-01-01T00:00:01Z'`);
}

test('no answer says that it is fresher than its rows, while the model moves on at each moment', async () => {
  await using scene = await createQueryApiScene({ topics: false });
  const { read } = scene.model;
  await firstState(scene);
  const api = await scene.start();
  let asked = 0;
  const overstated: unknown[] = [];
  const readers = [path, '/v1/customers?fields=name&limit=1'].flatMap((each) =>
    Array.from({ length: 3 }, () =>
      repeat(async () => {
        const seen = stateOf(await get(api, each));
        asked += 1;
        if (seen.position > seen.row || seen.asOf > seen.row) overstated.push(seen);
      }),
    ),
  );
  for (let state = 2; state <= states; state += 1)
    await read.query(`WITH row AS (UPDATE model.customers SET name = '${state}'), place AS (UPDATE model.applied_offsets SET next_offset = ${state})
      UPDATE model.freshness SET as_of = timestamptz '2026-01-01T00:00:00Z' + ${state} * interval '1 s'`);
  for (const reader of readers) await reader.stop();
  assert.deepEqual(overstated, []);
  assert.ok(asked > 100, `${asked} requests`);
});

test('rows and position are of one version of the model, while versions change places at each moment', async () => {
  await using scene = await createQueryApiScene({ topics: false });
  const { read } = scene.model;
  await firstState(scene);
  const tables = [
    'model_version',
    'mirrored_tables',
    'model_projections',
    'projection_faults',
    'applied_offsets',
    'freshness',
    'customers',
  ];
  await read.query(`CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO "${scene.role}"`);
  for (const table of tables)
    await read.query(`CREATE TABLE other.${table} (LIKE model.${table} INCLUDING ALL); INSERT INTO other.${table} SELECT * FROM model.${table};
      GRANT SELECT ON other.${table} TO "${scene.role}"`);
  await read.query(`UPDATE other.customers SET name = '2'; UPDATE other.applied_offsets SET next_offset = 2;
    UPDATE other.freshness SET as_of = '2026-01-01T00:00:02Z'`);
  const api = await scene.start();
  const seen = new Map<string, number>();
  const ask = async (each: string): Promise<void> => {
    const answer = await get(api, each);
    // Who meets one switch after another is refused in the end, and has nothing that could be wrong.
    if (answer.status === 503) return;
    const { row, position, asOf } = stateOf(answer);
    const name = `${row} ${position} ${asOf}`;
    seen.set(name, (seen.get(name) ?? 0) + 1);
  };
  const readers = [path, path, path, '/v1/customers?fields=name&limit=1'].map((each) => repeat(() => ask(each)));
  for (let round = 0; round < 60; round += 1) {
    for (let count = 0; count < 4; count += 1) await ask(path);
    await read.query(`ALTER SCHEMA model RENAME TO waiting; ALTER SCHEMA other RENAME TO model; ALTER SCHEMA waiting RENAME TO other`);
  }
  for (const reader of readers) await reader.stop();
  assert.deepEqual([...seen.keys()].toSorted(), ['1 1 1', '2 2 2']);
});

test('staleness grows from answer to answer when the model does not move, by key too', async () => {
  await using scene = await createQueryApiScene({ topics: false });
  await firstState(scene);
  const api = await scene.start();
  const { read } = scene.model;
  for (let round = 0; round < 20; round += 1) {
    const least = await read.query(`SELECT floor(extract(epoch FROM clock_timestamp() - as_of) * 1000)::text AS ms FROM model.freshness`);
    const { headers } = await get(api, path);
    assert.ok(Number(headers.get('staleness-ms')) >= Number(least[0]?.['ms']), headers.get('staleness-ms') ?? 'none');
  }
  assert.equal((await get(api, path)).headers.get('freshness'), 'stale');
});
