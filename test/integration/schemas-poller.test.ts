import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import getPort from 'get-port';
import { pollerCommand } from '#cdc-poller/commands.ts';
import type { Registry } from '#change-events/index.ts';
import { readToEnd, type Kafka } from '#kafka/index.ts';
import type { PipelineConfig } from '#pipeline/index.ts';
import { deleteTopicsOf, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { pollerEndpoint } from '#test/support/poller-http.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { eventually } from '#test/support/read-database.ts';
import { registryProxy, testRegistry } from '#test/support/registry.ts';
import { readEvents, schemaIdOf, type ReadEvent } from '#test/support/schema-scene.ts';
import { uniqueName } from '#test/support/stack.ts';
import { terminal } from '#test/support/terminal.ts';
import { typeSamples } from '#test/support/value-samples.ts';

let kafka: Kafka;
let registry: Registry;
let database: LegacyDatabase;
const names: string[] = [];

before(async () => {
  kafka = await testKafka();
  registry = await testRegistry();
  database = await createLegacyDatabase({ empty: true });
});

after(async () => {
  await deleteTopicsOf(...names);
  await database[Symbol.asyncDispose]();
});

/** A poller's configuration over tables of the shared database. */
async function configOf(format: string, tables: readonly string[], more: Readonly<Record<string, unknown>> = {}): Promise<PipelineConfig> {
  const name = uniqueName(`schemas-${format}`).replaceAll('_', '-');
  names.push(name);
  const settings = { name, format, pollIntervalMs: 50, heartbeatMs: 500, tables: tables.map((table) => ({ table })), ...more };
  return await testPipelineConfig(database, settings);
}

const topicOf = ({ poller }: PipelineConfig, table: string): string => `${poller?.topicPrefix}.${table}`;

async function createTable(name: string): Promise<void> {
  await database.query(`
    CREATE TABLE ${name} (id bigserial PRIMARY KEY, value text NOT NULL, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
    GRANT SELECT ON ${name} TO cdc_poller; INSERT INTO ${name} (value) VALUES ('first');`);
}

const valuesOf = (events: readonly ReadEvent[]): readonly unknown[] => events.map(({ event }) => event?.after?.['value']);

async function untilValues(topic: string, values: readonly string[]): Promise<readonly ReadEvent[]> {
  return await eventually(
    () => readEvents(kafka, topic),
    (events) => values.every((value) => valuesOf(events).includes(value)),
  );
}

/** Every row once. */
async function assertExact(topic: string, table: string): Promise<void> {
  const rows = await database.query(`SELECT value FROM ${table}`);
  const published = valuesOf(await readEvents(kafka, topic)).map(String);
  const written = rows.map(({ value }) => String(value));
  assert.deepEqual(
    published.toSorted((a, b) => a.localeCompare(b)),
    written.toSorted((a, b) => a.localeCompare(b)),
  );
}

test('every type: events in Avro and in JSON Schema are read as those in JSON; same key, same partition; a restart registers nothing', async () => {
  const columns = typeSamples.map(({ type }, index) => `c${index} ${type}`).join(', ');
  const depth = Math.max(...typeSamples.map(({ values }) => values.length));
  const rows = [
    ...Array.from({ length: depth }, (_, at) => typeSamples.map(({ values }) => values[at % values.length] ?? 'NULL')),
    typeSamples.map(() => 'NULL'),
  ];
  const list = typeSamples.map((_, index) => `c${index}`).join(', ');
  await database.query(`
    CREATE TYPE mood AS ENUM ('happy', 'so so'); CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE TABLE samples (id bigserial PRIMARY KEY, ${columns}, "a-b" int, nested int[][], updated_at timestamptz NOT NULL DEFAULT now());
    GRANT SELECT ON samples TO cdc_poller;
    ${rows.map((values) => `INSERT INTO samples (${list}, "a-b", nested) VALUES (${values.join(', ')}, 7, '{{1,2},{3,NULL}}');`).join('\n')}`);
  const configs = [
    await configOf('json', ['public.samples']),
    await configOf('avro', ['public.samples']),
    await configOf('json-schema', ['public.samples']),
  ];
  const [json = [], avro = [], framed = []] = await Promise.all(
    configs.map(async (config) => {
      await using poller = startTestPoller(config);
      await untilPublished(kafka, config, database);
      await poller.stop();
      return (await readEvents(kafka, topicOf(config, 'public.samples'))).toSorted((a, b) => Number(a.key?.['id']) - Number(b.key?.['id']));
    }),
  );
  assert.equal(json.length, rows.length);
  for (const [index, plain] of json.entries()) {
    const [binary, text] = [avro[index], framed[index]];
    assert.ok(binary !== undefined && text !== undefined && plain.event !== null);
    assert.deepEqual([binary.key, binary.partition], [plain.key, plain.partition]);
    assert.deepEqual([text.key, text.partition], [plain.key, plain.partition]);
    for (const { event } of [binary, text]) {
      assert.deepEqual(event?.after, plain.event.after, JSON.stringify(plain.key));
      assert.deepEqual(Object.keys(event?.after ?? {}), Object.keys(plain.event.after ?? {}));
      assert.equal(event?.source.txId, plain.event.source.txId);
    }
    assert.equal(schemaIdOf(plain.rawValue), null);
  }
  for (const [config, events] of [
    [configs[1], avro],
    [configs[2], framed],
  ] as const) {
    assert.ok(config !== undefined);
    const topic = topicOf(config, 'public.samples');
    const [key, value] = [await registry.latest(`${topic}-key`), await registry.latest(`${topic}-value`)];
    assert.deepEqual(new Set(events.map(({ rawKey }) => schemaIdOf(rawKey))), new Set([key?.id]));
    assert.deepEqual(new Set(events.map(({ rawValue }) => schemaIdOf(rawValue))), new Set([value?.id]));
    // Heartbeats, positions and dead letters are JSON.
    const ours = (await registry.subjects()).filter((subject) => subject.includes(config.poller?.name ?? ''));
    assert.deepEqual(ours.toSorted(), [`${topic}-key`, `${topic}-value`]);
    for (const subject of ours) assert.equal(await registry.compatibilityOf(subject), 'BACKWARD');
    await using again = startTestPoller(config);
    await database.query('UPDATE samples SET updated_at = clock_timestamp() WHERE id = 1');
    await untilPublished(kafka, config, database);
    await again.stop();
    const reread = await readEvents(kafka, topic);
    assert.equal(reread.length, rows.length + 1);
    assert.deepEqual(new Set(reread.map(({ rawValue }) => schemaIdOf(rawValue))), new Set([value?.id]));
    for (const subject of ours) assert.deepEqual(await registry.versions(subject), [1]);
  }
});

test('a changed table is registered before its first event; what its subject refuses stops it alone, with the reason, until that is fixed', async () => {
  for (const table of ['changing', 'calm']) await createTable(table);
  const port = await getPort();
  const config = await configOf('avro', ['public.changing', 'public.calm'], { http: { port } });
  const [topic, subject] = [topicOf(config, 'public.changing'), `${topicOf(config, 'public.changing')}-value`];
  const endpoint = pollerEndpoint(port, config.poller?.name ?? '');
  await using poller = startTestPoller(config);
  await untilValues(topic, ['first']);
  await database.query("ALTER TABLE changing ADD COLUMN note text; INSERT INTO changing (value, note) VALUES ('note', 'n')");
  await untilValues(topic, ['note']);
  await database.query("ALTER TABLE changing ADD COLUMN amount int NOT NULL DEFAULT 5; INSERT INTO changing (value) VALUES ('amount')");
  const compatible = await untilValues(topic, ['note', 'amount']);
  assert.deepEqual(await registry.versions(subject), [1, 2, 3]);
  const versions = await Promise.all([1, 2, 3].map((version) => registry.version(subject, version)));
  for (const [value, version] of [
    ['first', versions[0]],
    ['note', versions[1]],
    ['amount', versions[2]],
  ] as const) {
    const found = compatible.find(({ event }) => event?.after?.['value'] === value);
    assert.equal(schemaIdOf(found?.rawValue ?? null), version?.id, value);
  }
  assert.equal(compatible.find(({ event }) => event?.after?.['value'] === 'amount')?.event?.after?.['amount'], 5);

  // No constant: what would readers give the rows before? (The server gives them one without writing the table again.)
  await database.query(
    "ALTER TABLE changing ADD COLUMN code timestamptz NOT NULL DEFAULT now(); INSERT INTO changing (value) VALUES ('refused')",
  );
  const stopped = await endpoint.until('public.changing', ({ lastError }) => lastError?.code === 'SCHEMA_INCOMPATIBLE');
  assert.equal(stopped.phase, 'waiting');
  assert.match(
    stopped.lastError?.message ?? '',
    /table public\.changing .* subject .*-value .* BACKWARD.*Against version 3: field "code" added \(string \(io\.debezium\.time\.ZonedTimestamp\), not null, without a constant default\)\. The registry says: /,
  );
  assert.match(stopped.lastError?.remedy ?? '', /level/);
  assert.match(
    (await endpoint.get('/metrics')).text,
    /cdc_poller_errors_total\{[^}]*table="public\.changing"[^}]*code="SCHEMA_INCOMPATIBLE"/,
  );
  const { printed } = await terminal(pollerCommand, config).run('status');
  assert.match(printed, /public\.changing +│ waiting, STUCK .*last SCHEMA_INCOMPATIBLE at /);
  assert.match(
    printed,
    /^public\.changing, waiting: SCHEMA_INCOMPATIBLE: table public\.changing .* field "code" added .* The registry says: \S.*\n {2}remedy: .*level/m,
  );
  assert.match(printed, /public\.calm +│ polling /);
  assert.doesNotMatch(printed, /^public\.calm, /m);
  await database.query("INSERT INTO calm (value) VALUES ('goes on')");
  await untilValues(topicOf(config, 'public.calm'), ['goes on']);
  assert.ok(!valuesOf(await readEvents(kafka, topic)).includes('refused'));
  assert.deepEqual(await registry.versions(subject), [1, 2, 3]);

  // Changed back: the schema is an old one, which is known.
  await database.query('ALTER TABLE changing DROP COLUMN code');
  await untilValues(topic, ['refused']);
  assert.deepEqual(await registry.versions(subject), [1, 2, 3]);

  // The level is lowered for one step.
  await database.query(
    "ALTER TABLE changing ADD COLUMN code timestamptz NOT NULL DEFAULT now(); INSERT INTO changing (value) VALUES ('lowered')",
  );
  await endpoint.until(
    'public.changing',
    ({ errors, phase }) => (errors['SCHEMA_INCOMPATIBLE'] ?? 0) > (stopped.errors['SCHEMA_INCOMPATIBLE'] ?? 0) && phase === 'waiting',
  );
  await registry.setCompatibility(subject, 'NONE');
  await untilValues(topic, ['lowered']);
  assert.deepEqual(await registry.versions(subject), [1, 2, 3, 4]);
  assert.equal(await registry.compatibilityOf(subject), 'NONE');
  await assertExact(topic, 'changing');
  await poller.stop();

  // A level of the subject's own is left alone, also by a new process.
  await using again = startTestPoller(config);
  await database.query("INSERT INTO changing (value) VALUES ('again')");
  await untilValues(topic, ['again']);
  await again.stop();
  assert.equal(await registry.compatibilityOf(subject), 'NONE');
  assert.equal(await registry.compatibilityOf(`${topic}-key`), 'BACKWARD');
});

test('a table that was changed while no poller ran waits for its subject, and the others start', async () => {
  for (const table of ['absent', 'present']) await createTable(table);
  const port = await getPort();
  const config = await configOf('avro', ['public.absent', 'public.present'], { http: { port } });
  const topic = topicOf(config, 'public.absent');
  {
    await using first = startTestPoller(config);
    await untilValues(topic, ['first']);
    await first.stop();
  }
  await database.query(
    "ALTER TABLE absent ALTER COLUMN value TYPE int USING 1; INSERT INTO absent (value) VALUES (2); INSERT INTO present (value) VALUES ('second')",
  );
  await using poller = startTestPoller(config);
  const stopped = await pollerEndpoint(port, config.poller?.name ?? '').until(
    'public.absent',
    ({ lastError }) => lastError?.code === 'SCHEMA_INCOMPATIBLE',
  );
  assert.match(stopped.lastError?.message ?? '', /field "value" is int, not null, without a constant default, was string, not null/);
  await untilValues(topicOf(config, 'public.present'), ['second']);
  await registry.setCompatibility(`${topic}-value`, 'NONE');
  const events = await eventually(
    () => readEvents(kafka, topic),
    (found) => valuesOf(found).includes(2),
  );
  assert.ok(valuesOf(events).includes('first'));
  await poller.stop();
});

test('the registry is away: at the start an error that says so, or a wait; later known tables go on, a new shape waits, nothing is lost', async () => {
  for (const table of ['known', 'shaped']) await createTable(table);
  await using proxy = await registryProxy();
  const { schemaRegistry } = proxy;
  const httpPort = await getPort();
  const base = await configOf('avro', ['public.known', 'public.shaped'], { http: { port: httpPort } });
  const config = { ...base, schemaRegistry };
  const endpoint = pollerEndpoint(httpPort, config.poller?.name ?? '');
  const [known, shaped] = [topicOf(config, 'public.known'), topicOf(config, 'public.shaped')];

  proxy.mute();
  await using refused = startTestPoller({ ...config, kafka: { ...config.kafka, whenUnavailable: 'exit' } });
  await assert.rejects(refused.ended, { code: 'REGISTRY_UNREACHABLE' });
  await using poller = startTestPoller({ ...config, kafka: { ...config.kafka, whenUnavailable: 'wait' } });
  await eventually(
    () => endpoint.get('/livez').catch(() => ({ status: 0 })),
    ({ status }) => status === 200,
  );
  proxy.unmute();
  await untilValues(known, ['first']);
  await untilValues(shaped, ['first']);

  proxy.mute();
  await database.query("INSERT INTO known (value) VALUES ('while away')");
  await untilValues(known, ['while away']);
  // A new session looks at the table again, and still needs nobody.
  await database.queryAs(
    database.superuser,
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '%public.known'",
  );
  await database.query("TRUNCATE known; INSERT INTO known (value) VALUES ('after a new session')");
  await untilValues(known, ['after a new session']);
  await database.query("ALTER TABLE shaped ADD COLUMN note text; INSERT INTO shaped (value, note) VALUES ('new shape', 'n')");
  await endpoint.until('public.shaped', ({ phase, lastError }) => phase === 'waiting' && lastError?.code === 'REGISTRY_UNREACHABLE');
  await database.query("INSERT INTO known (value) VALUES ('meanwhile'); INSERT INTO shaped (value, note) VALUES ('newer', 'n')");
  await untilValues(known, ['meanwhile']);
  assert.deepEqual(valuesOf(await readEvents(kafka, shaped)), ['first']);
  proxy.unmute();
  await untilValues(shaped, ['new shape', 'newer']);
  await assertExact(shaped, 'shaped');
  await poller.stop();
});

test('a sweep finds deletes in a topic of Avro, and in one that was JSON before', async () => {
  await createTable('swept');
  await database.query('INSERT INTO swept (value) SELECT n::text FROM generate_series(1, 50) AS n');
  const plain = await configOf('json', ['public.swept'], { tables: [{ table: 'public.swept', sweep: { intervalMs: 200 } }] });
  const topic = topicOf(plain, 'public.swept');
  {
    await using first = startTestPoller(plain);
    await untilPublished(kafka, plain, database);
    await first.stop();
  }
  assert.ok(plain.poller !== undefined);
  await using poller = startTestPoller({ ...plain, poller: { ...plain.poller, format: 'avro' } });
  await database.query("INSERT INTO swept (value) VALUES ('in avro')");
  await untilValues(topic, ['in avro']);
  await database.query("DELETE FROM swept WHERE value IN ('in avro', '7')");
  const events = await eventually(
    () => readEvents(kafka, topic),
    (found) => found.filter(({ rawValue }) => rawValue === null).length === 2,
  );
  for (const value of ['in avro', '7']) {
    const row = events.find(({ event }) => event?.after?.['value'] === value);
    const later = events.filter(({ key, partition }) => partition === row?.partition && key?.['id'] === row?.key?.['id']);
    assert.deepEqual(
      later.map(({ event }) => event?.op ?? 'tombstone'),
      [row?.event?.op, 'd', 'tombstone'],
    );
    assert.ok(later.slice(1).every(({ rawKey }) => schemaIdOf(rawKey) !== null));
  }
  await poller.stop();
});

test('in Avro too: a row that is too large is a dead letter in JSON by its key; masks, views and queries', async () => {
  for (const table of ['large', 'masked']) await createTable(table);
  await database.query(`
    INSERT INTO large (value) SELECT (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 1500));
    INSERT INTO large (value) VALUES ('last');
    CREATE VIEW seen AS SELECT id, value, updated_at FROM masked; GRANT SELECT ON seen TO cdc_poller;`);
  const window = { mode: 'bulk', pollIntervalMs: 60_000, key: ['id'] };
  const config = await configOf('avro', [], {
    maskSecret: 'pepper',
    tables: [
      { table: 'public.large', onTooLarge: 'dead-letter' },
      { table: 'public.masked', mask: { value: 'hash' } },
      { table: 'public.seen', ...window },
      { table: 'public.asked', ...window, query: 'SELECT id, value, 1 + 1 AS two FROM masked' },
    ],
  });
  const topic = topicOf(config, 'public.large');
  await using admin = await kafka.admin();
  await admin.ensureTopics([{ topic, partitions: 3, replicationFactor: 1, config: { 'max.message.bytes': '20000' } }]);
  await using poller = startTestPoller(config);
  await untilValues(topic, ['first', 'last']);
  const letters = await eventually(
    () => readEventsAsJson(`${config.poller?.topicPrefix}.dead-letter`),
    (found) => found.length === 1,
  );
  assert.match(letters[0] ?? '', /^\{"table":"public\.large","key":\{"id":2\}.*"bytes":48\d{3}/);
  const digest = createHash('sha256').update('pepperfirst').digest('hex');
  assert.deepEqual(valuesOf(await untilValues(topicOf(config, 'public.masked'), [digest])), [digest]);
  await untilValues(topicOf(config, 'public.seen'), ['first']);
  const [asked] = await untilValues(topicOf(config, 'public.asked'), ['first']);
  assert.deepEqual(asked?.event?.after, { id: 1, value: 'first', two: 2 });
  assert.deepEqual([asked?.key, asked?.event?.source.txId], [{ id: 1 }, null]);
  await poller.stop();
});

test('an array deeper than declared makes its table wait, by name; declared deeper, or fixed, the table goes on', async () => {
  await createTable('deep');
  await database.query('ALTER TABLE deep ADD COLUMN grid int[]');
  const port = await getPort();
  const config = await configOf('avro', ['public.deep'], { http: { port } });
  const topic = topicOf(config, 'public.deep');
  await using poller = startTestPoller(config);
  await untilValues(topic, ['first']);
  await database.query("INSERT INTO deep (value, grid) VALUES ('deeper', '{{1,2},{3,NULL}}')");
  const endpoint = pollerEndpoint(port, config.poller?.name ?? '');
  const waiting = await endpoint.until('public.deep', ({ lastError }) => lastError?.code === 'SCHEMA_INVALID');
  assert.match(waiting.lastError?.message ?? '', /"grid" of table public\.deep holds an array of more than 1 dimension/);
  await database.query("UPDATE deep SET grid = '{1}', updated_at = clock_timestamp() WHERE value = 'deeper'");
  await untilValues(topic, ['deeper']);
  await database.query("ALTER TABLE deep ADD COLUMN cube int[][]; INSERT INTO deep (value, cube) VALUES ('cube', '{{{1},{2}}}')");
  const events = await untilValues(topic, ['cube']);
  assert.deepEqual(events.find(({ event }) => event?.after?.['value'] === 'cube')?.event?.after?.['cube'], [[[1], [2]]]);
  await assertExact(topic, 'deep');
  await poller.stop();
});

async function readEventsAsJson(topic: string): Promise<readonly string[]> {
  const found: string[] = [];
  await readToEnd(kafka, topic, ({ value }) => found.push(String(value)));
  return found;
}
