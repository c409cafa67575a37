import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { applyConnector, waitForStreaming, type ConnectClient, type ConnectorConfig, type ConnectorFile } from '#connectors/index.ts';
import { doctorCommand } from '#doctor/index.ts';
import type { Report } from '#doctor/report.ts';
import { formatPath, pipelineSchema, silentLogger } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { removeConnector, removeTopics, testConnect, testConnectAccess } from '#test/support/connect.ts';
import { takeSlot } from '#test/support/take-slot.ts';
import { briefly, findingOf, startDoctorBench, type DoctorBench, type DoctorDatabase } from '#test/support/doctor.ts';

let bench: DoctorBench;
let client: ConnectClient;

before(async () => {
  [bench, client] = await Promise.all([startDoctorBench(), testConnect()]);
});

after(async () => {
  await bench[Symbol.asyncDispose]();
});

type Prepared = AsyncDisposable & {
  readonly db: DoctorDatabase;
  readonly file: ConnectorFile;
  readonly listed: (overrides?: ConnectorConfig) => Promise<readonly string[]>;
  readonly halt: () => Promise<void>;
};

/** A prepared source with a connector file; what was made in Connect goes with it. */
async function preparedConnector(): Promise<Prepared> {
  const db = await bench.database();
  const { name } = db;
  const file = await db.file({ 'topic.prefix': name, 'notification.sink.topic.name': `${name}.notifications` });
  await db.prepare(file);
  const setup = { topicPrefix: name, connectUrl: client.url };
  return {
    db,
    file,
    listed: async (overrides = {}) => {
      const changed = { ...file, config: { ...file.config, ...overrides } };
      return briefly(await db.examine(['log'], { ...setup, files: [changed] }));
    },
    halt: async () => {
      await client.stop(name);
      const isFree = async (): Promise<boolean> =>
        (await db.run(`SELECT FROM pg_replication_slots WHERE slot_name = '${name}' AND active`)).length === 0;
      await waitFor(isFree, { signal: AbortSignal.timeout(60_000), timeoutMs: 60_000, describe: 'the slot is free' });
    },
    [Symbol.asyncDispose]: async () => {
      await removeConnector(client, name, { ...db.login('replicator'), database: 'postgres' });
      await removeTopics(name);
      await db[Symbol.asyncDispose]();
    },
  };
}

test('from before the connector to its loss: nothing while it is well, and each fault by its name', async (t) => {
  await using made = await preparedConnector();
  const { db, file, listed, halt } = made;
  const { name } = file;
  await t.test('nothing before it is created, for both strategies', async () => {
    const report = await db.examine(['query', 'log'], { topicPrefix: name, connectUrl: client.url, files: [file] });
    assert.deepEqual(briefly(report), []);
    assert.deepEqual([...new Set(report.advice.map(({ advice }) => advice))], ['query']);
    assert.equal(await client.config(name), null);
  });
  await t.test('nothing while it runs', async () => {
    await applyConnector(client, file);
    await waitForStreaming(client, name, { timeoutMs: 60_000 });
    await db.run(`INSERT INTO customers (email, name) SELECT n, n FROM generate_series(1, 50) n`);
    assert.deepEqual(await listed(), []);
  });
  await t.test('a file that was changed since', async () => {
    assert.deepEqual(await listed({ 'poll.interval.ms': '20' }), [`info CONNECTOR_DIFFERS ${name}`]);
  });
  await t.test('stopped: its slot keeps WAL', async () => {
    await halt();
    assert.deepEqual(await listed(), [`warning CONNECTOR_HALTED ${name}`, `warning SLOT_INACTIVE ${name}`]);
  });
  await t.test('its slot dropped behind its back', async () => {
    await db.run(`SELECT pg_drop_replication_slot('${name}')`);
    assert.deepEqual(await listed(), [`error OFFSET_WITHOUT_SLOT ${name}`, `warning CONNECTOR_HALTED ${name}`]);
  });
  await t.test('a slot made again, past its position', async () => {
    await db.run(`INSERT INTO customers (email, name) VALUES ('missed', 'missed')`);
    await db.run(`SELECT pg_create_logical_replication_slot('${name}', 'pgoutput')`);
    assert.deepEqual(await listed(), [
      `error OFFSET_BEHIND_SLOT ${name}`,
      `warning CONNECTOR_HALTED ${name}`,
      `warning SLOT_INACTIVE ${name}`,
    ]);
  });
});

test('a task that FAILED under a RUNNING connector is reported, with who holds its slot', async () => {
  await using made = await preparedConnector();
  const { db, file, listed } = made;
  const { name } = file;
  await db.run(`SELECT pg_create_logical_replication_slot('${name}', 'pgoutput')`);
  const settings = { replication: 'database', application_name: 'thief' };
  const thief = new Client({ ...db.login('replicator'), ...settings });
  await thief.connect();
  try {
    const taken = once(thief.connection, 'replicationStart');
    thief
      .query(`START_REPLICATION SLOT "${name}" LOGICAL 0/0 (proto_version '1', publication_names 'cdc_publication')`)
      .catch(() => undefined);
    await taken;
    const impatient = { 'slot.max.retries': '0', 'errors.max.retries': '0', 'snapshot.mode': 'no_data' };
    await client.putConfig(name, { ...file.config, ...impatient });
    const hasFailed = async (): Promise<boolean> => (await client.status(name))?.tasks.some(({ state }) => state === 'FAILED') ?? false;
    await waitFor(hasFailed, { signal: AbortSignal.timeout(90_000), timeoutMs: 90_000, describe: 'the task has failed' });
    assert.deepEqual(await listed(impatient), [`error SLOT_BUSY ${name}`, `error TASK_FAILED ${name}`]);
  } finally {
    await thief.end();
  }
});

test('doctor finds a connector that is RUNNING and does not move, with what blocks it; not one that is idle or only behind', async (t) => {
  await using made = await preparedConnector();
  const { db, file } = made;
  const { name } = file;
  const quick = { ...file, config: { ...file.config, 'heartbeat.interval.ms': '300' } };
  const look = (warnHeartbeatMs: number): Promise<Report> =>
    db.examine(['log'], { topicPrefix: name, connectUrl: client.url, files: [quick], warnHeartbeatMs });
  const states = async (): Promise<readonly string[]> => {
    const status = await client.status(name);
    return [status?.connector.state ?? '', ...(status?.tasks.map(({ state }) => state) ?? [])];
  };
  await applyConnector(client, quick);
  await waitForStreaming(client, name, { timeoutMs: 60_000 });
  const beatIsOlder = async (ms: number): Promise<void> => {
    const isOlder = async (): Promise<boolean> =>
      (await db.run(`SELECT FROM cdc.heartbeat WHERE beat_at < clock_timestamp() - interval '${ms} ms'`)).length > 0;
    await waitFor(isOlder, { signal: AbortSignal.timeout(120_000), timeoutMs: 120_000, describe: `no beat for ${ms} ms` });
  };

  await t.test('idle: nobody writes, and its own beats move it', async () => {
    await waitFor(async () => (await db.run('SELECT FROM cdc.heartbeat WHERE beat_at IS NOT NULL')).length > 0, {
      signal: AbortSignal.timeout(120_000),
      timeoutMs: 120_000,
      describe: 'it beats',
    });
    assert.deepEqual(briefly(await look(1000)), []);
  });
  await t.test('its heartbeat waits for a lock', async () => {
    const holder = new Client(db.login('owner'));
    await holder.connect();
    try {
      await holder.query('BEGIN; LOCK TABLE cdc.heartbeat IN SHARE MODE');
      await beatIsOlder(1500);
      assert.deepEqual(await states(), ['RUNNING', 'RUNNING']);
      assert.deepEqual(briefly(await look(60_000)), [], 'not late yet by connect.guard.warnHeartbeatMs');
      const report = await look(1000);
      assert.deepEqual(briefly(report), [`error CONNECTOR_STALLED ${name}`]);
      assert.match(
        findingOf(report, 'CONNECTOR_STALLED')?.cause ?? '',
        /shows RUNNING and no FAILED task, but it does not move: its last heartbeat in the source is [\d.]+ s old \(one is due every 0\.3 s\), its position is [\d.]+ s old and did not move in the \d\.\d s that doctor looked; a session of its role waits for a lock of legacy_owner \(pid \d+\)\.$/,
      );
    } finally {
      await holder.end();
    }
  });
  await t.test('late at the first look, beating at the second: it was only behind', async () => {
    const holder = new Client(db.login('owner'));
    await holder.connect();
    try {
      await holder.query('BEGIN; LOCK TABLE cdc.heartbeat IN SHARE MODE');
      await beatIsOlder(1500);
      const looking = look(1000);
      const hasLooked = async (): Promise<boolean> =>
        (
          await db.run(
            `SELECT FROM pg_stat_activity WHERE datname = '${name}' AND application_name = 'cdc doctor' AND state = 'idle' AND query LIKE '%beatAgeMs%'`,
          )
        ).length > 0;
      await waitFor(hasLooked, { signal: AbortSignal.timeout(120_000), timeoutMs: 120_000, intervalMs: 20, describe: 'the first look' });
      await holder.query('ROLLBACK');
      assert.deepEqual(briefly(await looking), []);
    } finally {
      await holder.end();
    }
  });
  await t.test('the lock is gone: it goes on by itself', async () => {
    assert.deepEqual(await states(), ['RUNNING', 'RUNNING']);
    assert.deepEqual(briefly(await look(1000)), []);
  });
  await t.test('its slot is taken, and another connector beats in the same row: its position shows it', async () => {
    await using thief = await takeSlot(db.login('replicator'), name, 'cdc_publication');
    assert.ok(thief);
    const over = new AbortController();
    const beats = (async (): Promise<void> => {
      while (!over.signal.aborted) {
        await db.run('UPDATE cdc.heartbeat SET beat_at = clock_timestamp()');
        await delay(100);
      }
    })();
    try {
      const isOld = async (): Promise<boolean> => {
        const [position] = await client.offsets(name);
        return Date.now() - Number(position?.offset?.['ts_usec'] ?? Infinity) / 1000 > 2000;
      };
      await waitFor(isOld, { signal: AbortSignal.timeout(120_000), timeoutMs: 120_000, describe: 'its position is old' });
      const report = await look(1000);
      assert.deepEqual(await states(), ['RUNNING', 'RUNNING']);
      assert.deepEqual(briefly(report), [`error SLOT_BUSY ${name}`, `warning CONNECTOR_STALLED ${name}`]);
      assert.match(
        findingOf(report, 'CONNECTOR_STALLED')?.cause ?? '',
        /the heartbeat is young, but its position is [\d.]+ s old and did not move/,
      );
    } finally {
      over.abort();
      await beats;
    }
  });
});

test('settings that the server would not take are reported, and Connect not reached is a finding', async () => {
  await using made = await preparedConnector();
  const { db, file, listed } = made;
  assert.deepEqual(await listed({ 'database.password': 'wrong-secret' }), [`error CONNECTOR_SETTINGS_REFUSED ${file.name}`]);
  assert.deepEqual(await listed({ 'slot.naem': 'x' }), [`error CONNECTOR_SETTINGS_REFUSED ${file.name}`]);
  const away = await db.examine(['log'], { topicPrefix: file.name, connectUrl: 'http://127.0.0.1:1', files: [file] });
  assert.deepEqual(briefly(away), ['error CONNECT_UNREACHABLE http://127.0.0.1:1']);
  assert.match(findingOf(away, 'CONNECT_UNREACHABLE')?.cause ?? '', /ECONNREFUSED/);
});

test('the command: text or JSON, all files read, an exit code that a script can use, no secret shown', async () => {
  await using made = await preparedConnector();
  const { db, file } = made;
  const folder = await mkdtemp(join(tmpdir(), 'doctor-'));
  try {
    await writeFile(
      join(folder, 'orders.json'),
      JSON.stringify({ ...file, config: { ...file.config, 'database.password': 'plain-secret' } }),
    );
    const base = db.pipeline({ topicPrefix: file.name });
    const access = await testConnectAccess();
    const pipeline = (connectors: readonly string[]): unknown => ({
      ...base,
      connect: { ...access, topicPrefix: file.name, connectors },
    });
    const run = async (config: unknown, ...words: string[]): Promise<{ printed: string; exitCode: number }> => {
      const printed: string[] = [];
      let exitCode = -1;
      const command = doctorCommand({
        config: async () => pipelineSchema.parse(config),
        configFolder: () => folder,
        environment: async () => ({}),
        locate: async () => formatPath,
        print: (text) => printed.push(text),
        progress: () => undefined,
        setExitCode: (code) => {
          exitCode = code;
        },
        logger: silentLogger,
        signal: new AbortController().signal,
        followFiles: async () => ({ [Symbol.dispose]() {} }),
        stackFolder: () => folder,
      });
      await command.exitOverride().parseAsync(words, { from: 'user' });
      return { printed: printed.join('\n'), exitCode };
    };
    const healthy = await run(pipeline([]), '--strategy', 'query');
    assert.equal(healthy.exitCode, 0);
    assert.match(
      healthy.printed,
      /nothing found\n\nadvice\n {2}public\.customers: query\n(?:.*\n)*0 errors, 0 warnings, 0 unknown, 0 info$/,
    );
    await db.run('ALTER TABLE orders DISABLE TRIGGER ALL');
    assert.equal((await run(pipeline([]), '--strategy', 'query')).exitCode, 2);
    const { printed, exitCode } = await run(pipeline(['orders.json', 'gone.json']), '--json');
    assert.equal(exitCode, 1);
    assert.ok(!printed.includes('plain-secret'));
    const report: unknown = JSON.parse(printed);
    assert.ok(typeof report === 'object' && report !== null && 'format' in report && 'findings' in report && 'advice' in report);
    assert.equal(report.format, 1);
    assert.match(
      printed,
      /"code": "CONNECTOR_FILE_UNUSABLE",\n\s+"severity": "error",\n\s+"strategy": "log",\n\s+"subject": \{\n\s+"kind": "connector",\n\s+"name": "gone.json"/,
    );
    assert.match(printed, /TIMESTAMP_NOT_MOVED/);
    assert.match((await run(pipeline([]), '--strategy', 'log')).printed, /CONNECTOR_NONE/);
    const { connect: _connect, ...withoutConnect } = base;
    await assert.rejects(run(withoutConnect, '--strategy', 'both'), { code: 'CONFIG_INVALID', message: /no connect section/ });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
