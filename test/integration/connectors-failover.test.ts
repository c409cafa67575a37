import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeChangeEvent } from '#change-events/index.ts';
import { postgresClientConfig } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { type CapturedDatabase, type TestConnector, startTestConnector, testConnectAccess } from '#test/support/connect.ts';
import { observeTopics, testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { startOwnPostgres, type OwnPostgres } from '#test/support/own-postgres.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { connectorsTerminal, type Outcome } from '#test/support/terminal.ts';

const limit = { signal: new AbortController().signal, timeoutMs: 60_000 };
const database = 'legacy';
const quick = { 'heartbeat.interval.ms': '500', 'retriable.restart.connector.wait.ms': '500', 'slot.retry.delay.ms': '500' };
const following = { wal_level: 'logical', max_wal_senders: '10', max_replication_slots: '10' };

/** A primary and its standby, as docs/log-based.md has them for a failover. */
let primary: OwnPostgres;
let standby: OwnPostgres;
let files: string;

before(async () => {
  files = await mkdtemp(join(tmpdir(), 'connectors-failover-'));
  primary = await startOwnPostgres(following);
  const { user } = (await testStack()).roles.owner;
  await primary.run(
    `CREATE TABLE things (id bigserial PRIMARY KEY, value text NOT NULL); ALTER TABLE things OWNER TO ${user};
     INSERT INTO things (value) VALUES ('first');
     GRANT CREATE ON DATABASE ${database} TO ${user}`,
    database,
  );
  await primary.stop();
  standby = await primary.copy();
  await primary.start();
  await primary.run(`SELECT pg_create_physical_replication_slot('standby')`);
  // From here on no logical consumer gets ahead of the standby.
  await primary.restart({ synchronized_standby_slots: 'standby' });
});

after(async () => {
  await standby[Symbol.asyncDispose]();
  await primary[Symbol.asyncDispose]();
  await rm(files, { recursive: true });
});

async function standbySettings(): Promise<Readonly<Record<string, string>>> {
  const { user, password } = (await testStack()).roles.replicator;
  return {
    primary_conninfo: `host=${primary.host} port=${primary.port} user=${user} password=${password} dbname=${database}`,
    primary_slot_name: 'standby',
    hot_standby_feedback: 'on',
    sync_replication_slots: 'on',
    wal_receiver_status_interval: '1s',
    wal_retrieve_retry_interval: '200ms',
  };
}

async function captured({ host, port }: OwnPostgres): Promise<CapturedDatabase> {
  const { owner, replicator } = (await testStack()).roles;
  const location = { host, port, database };
  return {
    name: database,
    owner: postgresClientConfig(location, owner, 'test'),
    replicator: postgresClientConfig(location, replicator, 'test'),
  };
}

/** `cdc connectors …` with the connector's file as it would be for `server`. */
async function connectors({ name, config, prefix }: TestConnector, server: OwnPostgres, ...words: string[]): Promise<Outcome> {
  const folder = await mkdtemp(join(files, 'terminal-'));
  const located = { ...config, 'database.hostname': server.host, 'database.port': String(server.port) };
  await writeFile(join(folder, 'things.json'), JSON.stringify({ name, config: located }));
  const pipeline = {
    legacyDb: { host: server.host, port: server.port, database, roles: (await testStack()).roles },
    kafka: await testKafkaConfig(),
    connect: { ...(await testConnectAccess()), connectors: ['things.json'], topicPrefix: prefix },
  };
  return connectorsTerminal(pipeline, folder).run(...words);
}

async function values(server: OwnPostgres): Promise<readonly string[]> {
  return (await server.run('SELECT value FROM things ORDER BY id', database)).map(({ value }) => String(value));
}

test('a failover to a standby that carries the slot: what the new primary has is published once, what it lacks never', async () => {
  await using connector = await startTestConnector({ database: await captured(primary), tables: ['public.things'], overrides: quick });
  // Its slot never leaves the primary.
  await using left = await startTestConnector({
    database: await captured(primary),
    tables: ['public.things'],
    overrides: { ...quick, 'slot.failover': 'false', 'publication.name': connector.publication },
  });
  // Their slots on the old primary are dropped in the end, which it must run for.
  await using revived = { [Symbol.asyncDispose]: () => primary.crash().then(() => primary.start()) };
  void revived;
  const topic = connector.topic('public.things');
  // It looks for slots at once when it starts; later it may rest for up to 30 s between two looks.
  await standby.start(await standbySettings(), { standby: true });
  await Promise.all([connector.streaming(), left.streaming()]);
  await primary.run(`INSERT INTO things (value) SELECT 'before ' || n FROM generate_series(1, 50) n`, database);
  await using observer = await observeTopics(await testKafka(), [topic], uniqueName('observer'));
  const seen = (): string[] =>
    observer.messages.flatMap(({ value, partition, offset }) => {
      const event = decodeChangeEvent(value, { topic, partition, offset: offset.toString() });
      const text = event?.after?.['value'];
      return typeof text === 'string' ? [text] : [];
    });
  const untilSeen = (rows: number): Promise<void> =>
    observer.until(
      () => seen().length >= rows,
      () => `${seen().length} of ${rows}`,
      60_000,
    );
  await untilSeen(51);
  const synced = `SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical' AND synced AND NOT temporary`;
  // Slots move on at the records of running transactions, which a quiet server writes every 15 s.
  const isSynced = async (): Promise<boolean> => {
    await primary.run('SELECT pg_log_standby_snapshot()');
    return (await standby.run(synced)).length > 0;
  };
  await waitFor(isSynced, { ...limit, describe: 'the slot is on the standby' });
  assert.deepEqual(await standby.run(synced), [{ slot_name: connector.slot }]);

  // The standby is away: what commits now is acknowledged to the application, and is nowhere else.
  await standby.stop();
  await primary.run(`INSERT INTO things (value) SELECT 'never received ' || n FROM generate_series(1, 20) n`, database);
  const held = `SELECT FROM pg_stat_activity WHERE wait_event = 'WaitForStandbyConfirmation' AND backend_type = 'walsender'`;
  await waitFor(async () => (await primary.run(held)).length > 0, { ...limit, describe: 'the connector waits for the standby' });
  await primary.crash();

  await standby.start(await standbySettings(), { standby: true });
  await standby.run('SELECT pg_promote(true, 30)');
  await standby.run(`INSERT INTO things (value) SELECT 'after ' || n FROM generate_series(1, 30) n`, database);
  const applied = await connectors(connector, standby, 'apply');
  assert.equal(applied.exitCode, 0, applied.printed);
  const truth = await values(standby);
  assert.equal(truth.length, 81);
  await untilSeen(81);
  // A last row, behind which nothing can still be on its way.
  await standby.run(`INSERT INTO things (value) VALUES ('last')`, database);
  await untilSeen(82);
  assert.deepEqual(seen().toSorted(), [...truth, 'last'].toSorted());
  const status = await connectors(connector, standby, 'status');
  assert.equal(status.exitCode, 0, status.printed);
  assert.doesNotMatch(status.printed, /LOSS/);

  const lost = await connectors(left, standby, 'status');
  assert.match(lost.printed, /LOSS: replication slot \S+ does not exist any more/);
  assert.equal(lost.exitCode, 1);
  await assert.rejects(connectors(left, standby, 'apply'), { code: 'CONNECTOR_EVENTS_LOST' });
});
