import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { ClientConfig } from 'pg';
import {
  applyConnector,
  connectClient,
  deleteConnector,
  dropSlot,
  prepareSource,
  readConnectorFile,
  waitForStreaming,
  type ConnectClient,
  type ConnectorConfig,
  type ConnectorFile,
  type SourceChange,
} from '#connectors/index.ts';
import { parseTableId } from '#change-events/index.ts';
import { listEntry } from '#connectors/postgres/table-list.ts';
import type { StackState } from '#stack/index.ts';
import { testKafka } from './kafka.ts';
import { testStack, uniqueName } from './stack.ts';

/** The part of a LegacyDatabase that a connector needs. */
export type CapturedDatabase = { readonly name: string; readonly owner: ClientConfig; readonly replicator: ClientConfig };

export type TestConnectorOptions = {
  readonly database: CapturedDatabase;
  /** topic.prefix; default a unique one. */
  readonly prefix?: string;
  /** `schema.table`; default the four of the order system. */
  readonly tables?: readonly string[];
  /** Under connectors/; default legacy-orders.json. */
  readonly file?: 'legacy-orders.json' | 'legacy-orders-avro.json';
  /** Settings over those of the file. */
  readonly overrides?: ConnectorConfig;
};

export type TestConnector = AsyncDisposable & {
  readonly name: string;
  readonly slot: string;
  readonly publication: string;
  readonly prefix: string;
  readonly config: ConnectorConfig;
  readonly client: ConnectClient;
  /** What preparing the source created and changed. */
  readonly prepared: readonly SourceChange[];
  /** `<prefix>.<schema>.<table>` */
  readonly topic: (table: string) => string;
  /** Resolves when the snapshot is read and the connector follows the log. */
  readonly streaming: () => Promise<void>;
};

/**
 * A Debezium connector of connectors/legacy-orders.json (or of another file) on a test database, RUNNING, with names of its own. Prepares the source as the
 * owner. Disposing it deletes connector, slot and topics; do so before the database goes (`await using` does, in this order).
 */
export async function startTestConnector(options: TestConnectorOptions): Promise<TestConnector> {
  const client = await testConnect();
  const { file, prepared } = await prepareTestConnector(options);
  const { name, config } = file;
  const prefix = config['topic.prefix'] ?? '';
  const dispose = async (): Promise<void> => {
    await removeConnector(client, name, options.database.replicator);
    await removeTopics(prefix);
  };
  try {
    await applyConnector(client, file, { timeoutMs: 60_000 });
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    name,
    slot: config['slot.name'] ?? '',
    publication: config['publication.name'] ?? '',
    prefix,
    config,
    client,
    prepared,
    topic: (table) => `${prefix}.${table}`,
    streaming: () => waitForStreaming(client, name, { timeoutMs: 60_000 }),
    [Symbol.asyncDispose]: dispose,
  };
}

/** The file that {@link startTestConnector} would apply, its source prepared. Connector and slot have one name. */
export async function prepareTestConnector(
  options: TestConnectorOptions,
): Promise<{ readonly file: ConnectorFile; readonly prepared: readonly SourceChange[] }> {
  const { database, overrides = {} } = options;
  const tables = options.tables ?? ['public.customers', 'public.products', 'public.orders', 'public.order_items'];
  const shipped = await readConnectorFile(join(import.meta.dirname, '..', '..', 'connectors', options.file ?? 'legacy-orders.json'));
  const name = uniqueName('connector');
  const publication = overrides['publication.name'] ?? `publication_${name}`;
  const { replicator } = database;
  const config = {
    ...shipped.config,
    name,
    'database.hostname': replicator.host ?? '',
    'database.port': String(replicator.port),
    'database.dbname': database.name,
    'slot.name': name,
    'publication.name': publication,
    'topic.prefix': options.prefix ?? name,
    'table.include.list': [...tables.map((table) => listEntry(parseTableId(table))), 'cdc.heartbeat'].join(','),
    ...overrides,
  };
  const prepared = await prepareSource(database.owner, {
    tables: tables.map(parseTableId),
    publication,
    replicator: replicator.user ?? '',
  });
  return { file: { name, config }, prepared };
}

/** A client of the shared stack's Connect. */
export async function testConnect(): Promise<ConnectClient> {
  return connectClient(await testConnectAccess());
}

/** Where the shared stack's Connect is, and the login that it asks for; as in pipeline.yaml. */
export async function testConnectAccess(): Promise<NonNullable<StackState['connect']>> {
  const { connect } = await testStack();
  assert.ok(connect, 'the stack runs without Kafka Connect');
  return connect;
}

/** Deletes the connector if it is there, and its slot (of the same name) if it is there. */
export async function removeConnector(client: ConnectClient, name: string, replicator: ClientConfig): Promise<void> {
  if ((await client.config(name)) !== null) await deleteConnector(client, name);
  await dropSlot({ ...replicator, database: 'postgres' }, name, 30_000);
}

/** Deletes the topics that a connector with this topic.prefix made. */
export async function removeTopics(prefix: string): Promise<void> {
  await using admin = await (await testKafka()).admin();
  const topics = await admin.listTopics();
  await admin.deleteTopics(topics.filter((topic) => topic.startsWith(`${prefix}.`) || topic === `__debezium-heartbeat.${prefix}`));
}
