import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CdcError } from '#pipeline/index.ts';
import type { RunningService } from '#services/index.ts';
import { createFallbackScene, type FallbackScene } from '#test/support/fallback-scene.ts';
import type { OwnPostgres } from '#test/support/own-postgres.ts';
import { get, type Answered } from '#test/support/query-api.ts';
import { eventually } from '#test/support/read-database.ts';
import { testStack } from '#test/support/stack.ts';

/** The read model is down from the start of the tests on, and the fallback reads a standby of the legacy database. */
let scene: FallbackScene;
let standby: OwnPostgres;
let api: RunningService;
/** What has the standby as its legacy database. */
let moved: RunningService;
const paths = ['/v1/orders/7', '/v1/orders?customer_id=3&limit=4', '/v1/samples?limit=100', '/v1/customers/4242'];
const mirrored = new Map<string, Answered>();

before(async () => {
  scene = await createFallbackScene();
  const { poller, replicator } = (await testStack()).roles;
  await scene.legacy.stop();
  standby = await scene.legacy.copy();
  await scene.legacy.start();
  const { host, port } = scene.legacy;
  const following = `host=${host} port=${port} user=${replicator.user} password=${replicator.password}`;
  await standby.start({ primary_conninfo: following, wal_retrieve_retry_interval: '200ms' }, { standby: true });
  const place = { host: standby.host, port: standby.port };
  api = await scene.start({ lastAnswers: { maxBytes: 0 }, legacy: { ...poller, ...place, timeoutMs: 5000 } });
  const config = scene.config({ lastAnswers: { maxBytes: 0 } });
  moved = await scene.startWith({ ...config, legacyDb: { ...config.legacyDb, ...place } });
  for (const path of paths) mirrored.set(path, await get(api, path));
  await scene.read.stop();
});
after(async () => {
  await moved[Symbol.asyncDispose]();
  await scene[Symbol.asyncDispose]();
  await standby[Symbol.asyncDispose]();
});

/** Who answered, and all that is said of freshness. */
function said({ status, headers }: Answered): readonly unknown[] {
  return [
    status,
    ...['answered-by', 'freshness', 'as-of', 'staleness-ms', 'position', 'position-reached'].map((name) => headers.get(name)),
  ];
}
const unknown = (status: number): readonly unknown[] => [status, 'legacy-copy', 'unknown', null, null, null, null];

test('a standby gives the rows that the mirror gave, and says that it is a copy of unknown age', async () => {
  for (const path of paths) {
    const mirror = mirrored.get(path);
    assert.equal(mirror?.headers.get('answered-by'), 'read-model', path);
    for (const one of [api, moved]) {
      const now = await get(one, path);
      assert.deepEqual([now.text, now.headers.get('link')], [mirror?.text, mirror?.headers.get('link')], path);
      assert.deepEqual(said(now), unknown(mirror?.status ?? 0), path);
    }
  }
});

test('a standby that is behind claims nothing: an older row is of unknown age, and a position is not reached', async () => {
  await standby.run('SELECT pg_wal_replay_pause()');
  await eventually(
    () => standby.run('SELECT pg_get_wal_replay_pause_state() AS state'),
    ([row]) => row?.['state'] === 'paused',
  );
  const path = '/v1/orders/7?fields=note';
  const first = await get(api, path);
  await scene.legacy.run(`UPDATE orders SET note = 'newer' WHERE id = 7`, 'legacy');
  const [clock] = await scene.legacy.run(`SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`);
  const position = clock?.['now'] ?? '';
  for (const one of [api, moved]) {
    const now = await get(one, path);
    assert.deepEqual([now.text, said(now)], [first.text, unknown(200)]);
    for (const wanted of [position, 'test.public.orders:0=1']) {
      const refused = await get(one, path, { 'min-position': wanted });
      assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
      assert.match(refused.text, /position-not-reached/);
      const older = await get(one, `${path}&if-behind=stale`, { 'min-position': wanted });
      assert.deepEqual([older.text, said(older)], [first.text, [...unknown(200).slice(0, -1), 'false']]);
    }
  }
  await standby.run('SELECT pg_wal_replay_resume()');
  await eventually(
    () => get(api, path),
    ({ text }) => text.includes('newer'),
  );
});

test('the source is stopped: its standby answers on', async () => {
  await scene.legacy.stop();
  assert.deepEqual(said(await get(api, '/v1/orders/7')), unknown(200));
});

test('a promoted standby is the source for who has it as legacyDb, and a copy still for who does not', async () => {
  await standby.run('SELECT pg_promote(true, 60)');
  assert.deepEqual(said(await get(api, '/v1/orders/7')), unknown(200));
  const now = await get(moved, '/v1/orders/7');
  assert.deepEqual([now.headers.get('answered-by'), now.headers.get('freshness')], ['legacy', 'fresh']);
});

test('a role that may write is refused at a standby too', async () => {
  const { owner } = (await testStack()).roles;
  await assert.rejects(
    scene.start({ legacy: { ...owner, host: standby.host, port: standby.port } }),
    (error: unknown) => error instanceof CdcError && error.code === 'QUERY_API_FALLBACK_ROLE_TOO_STRONG',
  );
});
