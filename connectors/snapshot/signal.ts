import type { Signal, SignalChannel, SnapshotRequest } from './request.ts';
import { escapeIdentifier, DatabaseError, type ClientConfig } from 'pg';
import { parseTableId } from '#change-events/index.ts';
import type { Kafka } from '#kafka/port.ts';
import { CdcError, describeError } from '#pipeline/index.ts';
import { isMariadb, type Source } from '../mariadb/mariadb-source.ts';
import { hasRead } from '../mariadb/position.ts';
import { conditionProblem, insertBinlogSignal, unfitTable } from '../mariadb/signal.ts';
import type { ConnectorConfig } from '../config-file.ts';
import { positionOf } from '../state/loss.ts';
import type { ConnectorOffsets } from '../rest/schemas.ts';
import { parseLsn } from '../postgres/lsn.ts';
import { withSource } from '../postgres/facts/slot-state.ts';
import { escaped } from '../postgres/table-list.ts';

export function executeSnapshot(id: string, { tables, where }: SnapshotRequest): Signal {
  const data = {
    'data-collections': tables.map(asPattern),
    type: 'incremental',
    ...(where === undefined
      ? {}
      : { 'additional-conditions': tables.map((table) => ({ 'data-collection': asPattern(table), filter: where })) }),
  };
  return { id, type: 'execute-snapshot', data: JSON.stringify(data) };
}

/** Without tables: whatever incremental snapshot runs. */
export function stopSnapshot(id: string, tables: readonly string[]): Signal {
  const data = { ...(tables.length === 0 ? {} : { 'data-collections': tables.map(asPattern) }), type: 'incremental' };
  return { id, type: 'stop-snapshot', data: JSON.stringify(data) };
}

/** Debezium takes patterns: a table is to mean itself. */
function asPattern(table: string): string {
  return escaped(plainName(table));
}

/** As Debezium has it: both names as they are, and a dot. */
function plainName(table: string): string {
  const { schema, table: name } = parseTableId(table);
  return `${schema}.${name}`;
}

/**
 * The table when the connector listens to one, else the topic.
 *
 * @throws CdcError CONNECTOR_CONFIG_INVALID when it listens to neither
 */
export function signalChannel(name: string, config: ConnectorConfig): SignalChannel {
  const channels = new Set((config['signal.enabled.channels'] ?? 'source').split(',').map((channel) => channel.trim()));
  const table = config['signal.data.collection'];
  if (channels.has('source') && table !== undefined) return { kind: 'table', table };
  const key = config['topic.prefix'] ?? '';
  if (channels.has('kafka')) return { kind: 'topic', topic: config['signal.kafka.topic'] ?? `${key}-signal`, key };
  throw new CdcError('CONNECTOR_CONFIG_INVALID', `connector ${name} listens to no signals`, {
    remedy: 'Set signal.data.collection to the signal table (cdc connectors prepare makes cdc.signal), then cdc connectors apply.',
  });
}

/**
 * Debezium passes over what it cannot read in chunks, and says so in the worker's log only. Of a name with a blank, a dot or a quote it makes a position that
 * it cannot read again: the task fails, and fails at each start.
 *
 * @throws CdcError SNAPSHOT_FAILED naming a table that does not exist, has no primary key or such a name
 */
export async function requireReadable(source: Source, tables: readonly string[]): Promise<void> {
  const unreadable = tables.find((table) => Object.values(parseTableId(table)).some((name) => /[\s."'`]/u.test(name)));
  if (unreadable !== undefined) {
    throw new CdcError(
      'SNAPSHOT_FAILED',
      `table ${unreadable}: Debezium reads no table in chunks whose name has a blank, a dot or a quote`,
      {
        remedy: 'cdc connectors offsets reset reads everything.',
      },
    );
  }
  const unfit = isMariadb(source) ? await unfitTable(source, tables) : await unfitPostgresTable(source, tables);
  if (unfit === undefined) return;
  throw new CdcError('SNAPSHOT_FAILED', `table ${unfit.name} ${unfit.found ? 'has no primary key' : 'does not exist in the source'}`, {
    remedy:
      'An incremental snapshot reads in chunks of the primary key. Without one: cdc connectors offsets reset, which reads everything.',
  });
}

async function unfitPostgresTable(
  source: ClientConfig,
  tables: readonly string[],
): Promise<{ readonly name: string; readonly found: boolean } | undefined> {
  const { rows } = await withSource(source, (client) =>
    client.query<{ name: string; found: boolean }>(
      `SELECT name, relation.oid IS NOT NULL AS found
         FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (name, of_schema, of_table)
         LEFT JOIN (pg_class relation JOIN pg_namespace ON pg_namespace.oid = relnamespace) ON nspname = of_schema AND relname = of_table
        WHERE NOT EXISTS (SELECT FROM pg_index WHERE indrelid = relation.oid AND indisprimary)`,
      [tables, tables.map((table) => parseTableId(table).schema), tables.map((table) => parseTableId(table).table)],
    ),
  );
  return rows[0];
}

/**
 * Debezium says of a condition that the server does not take nothing but a line in the worker's log, and ends the snapshot as if it were
 * done. So the server is asked before, as the replicator, for the plan only: nothing is read.
 *
 * @throws CdcError SNAPSHOT_FAILED with the server's words
 */
export async function requireCondition(source: Source, { tables, where }: SnapshotRequest): Promise<void> {
  if (where === undefined) return;
  for (const table of tables) {
    const problem = isMariadb(source) ? await conditionProblem(source, table, where) : await postgresConditionProblem(source, table, where);
    if (problem === undefined) continue;
    throw new CdcError('SNAPSHOT_FAILED', `--where ${where}: ${table} cannot be read by it: ${problem}`, {
      remedy: 'Give one condition on the table\'s columns, as after WHERE: --where "id > 1000"',
    });
  }
}

async function postgresConditionProblem(source: ClientConfig, table: string, where: string): Promise<string | undefined> {
  const name = quoted(table);
  return withSource(source, async (client) => {
    await client.query('BEGIN READ ONLY');
    try {
      // With a value of its own the server takes one statement, no more.
      await client.query(`EXPLAIN SELECT FROM ${name} WHERE (${where}\n) LIMIT $1::bigint`, ['1']);
      return undefined;
    } catch (error) {
      // Syntax, names, types, values. Not a right: the connector may have another user.
      if (!(error instanceof DatabaseError) || !/^(?:42|22)/.test(error.code ?? '')) throw error;
      return error.code === '42501' ? undefined : error.message;
    }
  });
}

function quoted(table: string): string {
  const { schema, table: name } = parseTableId(table);
  return `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
}

/** Whether a position is past the place in the log that a signal has: then the connector has heard it. */
export type HasPassed = (offsets: ConnectorOffsets) => boolean;

/**
 * Gives a signal to a connector: a row in the signal table, as the replicator, or a message in its signal topic (made if need be).
 * Returns how to see that the connector has received it; undefined for a topic, and for a binlog without MariaDB's GTIDs.
 *
 * @throws CdcError SNAPSHOT_FAILED naming table or role, LEGACY_*, KAFKA_UNREACHABLE
 */
export async function sendSignal(
  channel: SignalChannel,
  signal: Signal,
  { kafka, source }: { readonly kafka: Kafka; readonly source: Source },
): Promise<HasPassed | undefined> {
  if (channel.kind === 'table' && isMariadb(source)) {
    const gtid = await insertBinlogSignal(channel.table, signal, source);
    return gtid === undefined ? undefined : (offsets) => hasRead(offsets, gtid);
  }
  if (channel.kind === 'table' && !isMariadb(source)) return insertSignal(channel.table, signal, source);
  if (channel.kind === 'topic') await publishSignal(channel, signal, kafka);
  return undefined;
}

async function insertSignal(table: string, { id, type, data }: Signal, source: ClientConfig): Promise<HasPassed | undefined> {
  const name = quoted(table);
  try {
    return await withSource(source, async (client) => {
      await client.query(`INSERT INTO ${name} VALUES ($1, $2, $3)`, [id, type, data]);
      // After the commit: a place before it may be passed by a transaction that commits in between.
      const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn() AS lsn');
      const sentAt = parseLsn(rows[0]?.lsn ?? '');
      return sentAt === undefined ? undefined : (offsets) => (positionOf(offsets) ?? 0n) > sentAt;
    });
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    throw new CdcError('SNAPSHOT_FAILED', `signal table ${table} as ${source.user ?? ''}: ${describeError(error)}`, {
      cause: error,
      remedy: 'Run cdc connectors prepare as the owner: it makes the signal table and grants INSERT on it.',
    });
  }
}

async function publishSignal({ topic, key }: { topic: string; key: string }, { id, type, data }: Signal, kafka: Kafka): Promise<void> {
  await using admin = await kafka.admin();
  // Debezium reads one partition.
  await admin.ensureTopics([{ topic, partitions: 1, replicationFactor: -1 }]);
  await using producer = await kafka.transactionalProducer({ transactionalId: `cdc-signal-${id}` });
  const transaction = await producer.begin();
  await transaction.send(topic, [{ key, value: `{"id":${JSON.stringify(id)},"type":${JSON.stringify(type)},"data":${data}}` }]);
  await transaction.commit();
}
