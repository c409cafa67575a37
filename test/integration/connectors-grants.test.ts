import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapeIdentifier, type ClientConfig } from 'pg';
import { snapshotTables, waitForStreaming, type ConnectorFile } from '#connectors/index.ts';
import { prepareTestConnector, removeConnector, removeTopics, testConnect } from '#test/support/connect.ts';
import { testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { uniqueName } from '#test/support/stack.ts';

/** The first thing that does not work, in the order in which log-based capture needs them; `nothing` when all do. */
type Broken = 'nothing' | 'start' | 'snapshot' | 'heartbeat' | 'signal';

type Case = {
  readonly grant: string;
  /** Takes it away from the role; as the superuser in the database. */
  readonly revoke?: (role: string, database: string) => string;
  readonly breaks: Broken;
};

const cases: readonly Case[] = [
  { grant: 'none of them', breaks: 'nothing' },
  { grant: 'LOGIN', revoke: (role) => `ALTER ROLE ${role} NOLOGIN`, breaks: 'start' },
  { grant: 'REPLICATION', revoke: (role) => `ALTER ROLE ${role} NOREPLICATION`, breaks: 'snapshot' },
  { grant: 'CONNECT on the database', revoke: (role, database) => `REVOKE CONNECT ON DATABASE ${database} FROM ${role}`, breaks: 'start' },
  { grant: 'USAGE on the schema of the tables', revoke: (role) => `REVOKE USAGE ON SCHEMA public FROM ${role}`, breaks: 'snapshot' },
  { grant: 'SELECT on a captured table', revoke: (role) => `REVOKE SELECT ON orders FROM ${role}`, breaks: 'snapshot' },
  { grant: 'USAGE on schema cdc', revoke: (role) => `REVOKE USAGE ON SCHEMA cdc FROM ${role}`, breaks: 'snapshot' },
  { grant: 'SELECT on the heartbeat', revoke: (role) => `REVOKE SELECT ON cdc.heartbeat FROM ${role}`, breaks: 'snapshot' },
  { grant: 'UPDATE of the heartbeat', revoke: (role) => `REVOKE UPDATE (beat_at) ON cdc.heartbeat FROM ${role}`, breaks: 'heartbeat' },
  { grant: 'INSERT on the signal table', revoke: (role) => `REVOKE INSERT ON cdc.signal FROM ${role}`, breaks: 'signal' },
];

test("the connector's role has no right too many: without any one of them something breaks", { concurrency: 3 }, async (t) => {
  const each = cases.map((one) =>
    t.test(`without ${one.grant} ${one.breaks === 'nothing' ? 'everything works' : `no ${one.breaks}`}`, async () => {
      assert.equal(await firstBroken(one), one.breaks);
    }),
  );
  await Promise.all(each);
});

/** Every right that a role has been granted in a database, whatever it is on. */
const rightsQuery = `
  SELECT format('%s on %s', privilege_type, object) AS "right" FROM (
    SELECT 'database' AS object, datacl AS acl FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'schema ' || nspname, nspacl FROM pg_namespace
    UNION ALL SELECT oid::regclass::text, relacl FROM pg_class
    UNION ALL SELECT attrelid::regclass || '.' || attname, attacl FROM pg_attribute
    UNION ALL SELECT 'function ' || proname, proacl FROM pg_proc
  ) granted, aclexplode(acl) WHERE grantee = $1::regrole ORDER BY 1`;

test("the owner's scripts grant what the cases above take away one by one, and nothing else", async () => {
  await using db = await createLegacyDatabase();
  const user = uniqueName('replicator');
  await db.queryAs(db.superuser, `CREATE ROLE ${user} LOGIN REPLICATION`);
  try {
    await db.queryAs(db.superuser, `REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE ALL ON DATABASE ${db.name} FROM PUBLIC`);
    await prepareTestConnector({
      database: { name: db.name, owner: db.owner, replicator: { ...db.replicator, user } },
      tables: ['public.orders'],
    });
    const rights = await db.query(rightsQuery, [user]);
    assert.deepEqual(
      rights.map(({ right }) => right),
      [
        'CONNECT on database',
        'INSERT on cdc.signal',
        'SELECT on cdc.heartbeat',
        'SELECT on orders',
        'UPDATE on cdc.heartbeat.beat_at',
        'USAGE on schema cdc',
        'USAGE on schema public',
      ],
    );
  } finally {
    await db.queryAs(db.superuser, `DROP OWNED BY ${user}; DROP ROLE ${user}`);
  }
});

/** A role with exactly what the owner's scripts give, on a database where PUBLIC may nothing; less the case's grant. */
async function firstBroken({ revoke }: Case): Promise<Broken> {
  await using db = await createLegacyDatabase();
  const user = uniqueName('replicator');
  const role = escapeIdentifier(user);
  const database = escapeIdentifier(db.name);
  const superuser = async (sql: string): Promise<unknown> => db.queryAs(db.superuser, sql);
  await superuser(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'secret'`);
  const replicator: ClientConfig = { ...db.replicator, user, password: 'secret' };
  const client = await testConnect();
  await superuser(`REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE ALL ON DATABASE ${database} FROM PUBLIC`);
  const { file } = await prepareTestConnector({
    database: { name: db.name, owner: db.owner, replicator },
    tables: ['public.orders'],
    overrides: {
      'database.user': user,
      'database.password': 'secret',
      'heartbeat.interval.ms': '200',
      'errors.max.retries': '0',
      'slot.max.retries': '0',
    },
  });
  try {
    if (revoke !== undefined) await superuser(revoke(role, database));
    return await tryAll(db, file, replicator);
  } finally {
    await removeConnector(client, file.name, db.replicator);
    await removeTopics(file.config['topic.prefix'] ?? '');
    await superuser(`DROP OWNED BY ${role}`);
    await superuser(`DROP ROLE ${role}`);
  }
}

async function tryAll(db: LegacyDatabase, file: ConnectorFile, replicator: ClientConfig): Promise<Broken> {
  const { name, config } = file;
  const client = await testConnect();
  const steps: readonly (readonly [Exclude<Broken, 'nothing'>, () => Promise<unknown>])[] = [
    ['start', () => client.putConfig(name, config)],
    ['snapshot', () => waitForStreaming(client, name, { timeoutMs: 60_000 })],
    ['heartbeat', () => beats(db)],
    [
      'signal',
      async () =>
        snapshotTables(
          { name, config, client, kafka: await testKafka(), source: replicator },
          { tables: ['public.orders'] },
          { silenceMs: 30_000 },
        ),
    ],
  ];
  for (const [step, attempt] of steps) {
    try {
      await attempt();
    } catch (error) {
      // That it breaks for want of the right, and not for another reason.
      assert.match(String(error), /permission denied|must be .*role|not permitted to log in|REPLICATION|no heartbeat|CONNECT/i);
      return step;
    }
  }
  return 'nothing';
}

async function beats(db: LegacyDatabase): Promise<void> {
  const [before] = await db.query('SELECT beat_at FROM cdc.heartbeat');
  for (let attempt = 0; attempt < 60; attempt += 1) {
    const [now] = await db.query('SELECT beat_at FROM cdc.heartbeat');
    if (now?.['beat_at'] !== before?.['beat_at']) return;
    await db.query('SELECT pg_sleep(0.1)');
  }
  throw new Error('no heartbeat for 6 s');
}
