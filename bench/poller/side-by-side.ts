import { setTimeout as delay } from 'node:timers/promises';
import { readStatus } from '#cdc-poller/index.ts';
import { createPollerScene } from '#test/support/poller-scene.ts';
import { writeFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { uniqueName } from '#test/support/stack.ts';
import { measureCdc } from '../harness/measured-process.ts';
import { appendTimes, roundOf, serversCpu, type SnapshotRound } from './snapshot.ts';

const tables = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

/** Loads eight tables of `rows` rows each with a poller of `threads` threads, as they come to be shared, and counts what was published: each row once. */
export async function measureSideBySide(rows: number, threads: number, client: string): Promise<SnapshotRound> {
  const sql = tables.map(
    (
      table,
    ) => `CREATE TABLE ${table} (id bigint PRIMARY KEY, customer_id bigint, status text, note text, placed_at timestamptz, updated_at timestamptz NOT NULL);
      INSERT INTO ${table} SELECT n, 1, (ARRAY['new', 'paid', 'shipped', 'delivered'])[1 + n % 4], CASE WHEN n % 3 = 0 THEN 'note ' || md5(n::text) END,
        timestamptz '2026-01-01' + n * interval '1 second', timestamptz '2026-01-01' + n * interval '100 microseconds' FROM generate_series(1, ${rows}) AS n;
      CREATE INDEX ON ${table} (updated_at, id);`,
  );
  const named = tables.map((table) => ({ table: `public.${table}` }));
  await using scene = await createPollerScene(sql.join('\n'), named, { sharing: 'group', threads, loadWorkers: 1, pollIntervalMs: 1000 });
  await scene.query('VACUUM ANALYZE');
  const { config, kafka } = scene;
  const { poller } = config;
  if (poller === undefined) throw new TypeError('a scene without a poller');
  await using admin = await kafka.admin();
  const topics = tables.map((table) => scene.topic(table));
  const timed = { 'message.timestamp.type': 'LogAppendTime' };
  await admin.ensureTopics(topics.map((topic) => ({ topic, partitions: 3, replicationFactor: 1, config: timed })));
  const file = join(tmpdir(), `${uniqueName('bench')}.yaml`);
  await writeFile(file, JSON.stringify({ ...config, kafka: { ...config.kafka, client } }), { mode: 0o600 });
  const before = await serversCpu();
  await using running = measureCdc(['--config', file, 'poller', 'start']);
  while (!(await readStatus(config.kafka, poller)).every(({ phase }) => phase === 'polling')) await delay(250);
  running.child.kill('SIGTERM');
  const usage = await running.ended;
  const servers = (await serversCpu()) - before;
  await rm(file);
  const all = rows * tables.length;
  const times = await appendTimes(kafka, topics, all);
  await admin.deleteTopics(topics);
  return roundOf(usage, servers, all, times);
}
