import type { ConsumedMessage } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';
import { qualified, queryText, text, type Database, type TextRow } from '../database.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { readModelWording, type Wording } from '../faults/wording.ts';
import { behindCode, type Poison } from './poison.ts';

/** All queries here name the model's tables without schema: they run inside `inTransaction`, which sets it. */

/** A queue of one partition: the events of one key that wait. */
export type Queue = TopicPartition & { readonly queue: string };

export type Parking = Queue & { readonly message: ConsumedMessage; readonly poison: Poison };

/** The open queues of these partitions. One cheap look as long as nothing is parked. */
export async function openQueues(database: Database, places: readonly TopicPartition[]): Promise<Set<string>> {
  const rows = await queryText(
    database,
    `SELECT DISTINCT p.topic, p.partition, p.queue
       FROM unnest($1::text[], $2::integer[]) AS b (topic, partition)
       JOIN parked_events p ON p.topic = b.topic AND p.partition = b.partition AND p.state = 'parked'`,
    [places.map(({ topic }) => topic), places.map(({ partition }) => partition)],
  );
  return new Set(rows.map((row) => queueName({ topic: text(row, 0), partition: Number(row[1]), queue: text(row, 2) })));
}

export function queueName({ topic, partition, queue }: Queue): string {
  return `${topic}/${partition}/${queue}`;
}

/**
 * Parks events. An event that is parked already (a replay) is parked again.
 *
 * @throws CdcError READ_MODEL_PARKED_FULL (or as `wording` calls it) when more than `most` would then be parked
 */
export async function parkEvents(
  database: Database,
  schema: string,
  events: readonly Parking[],
  most: number,
  { parkedFull }: Wording = readModelWording,
): Promise<void> {
  if (events.length === 0) return;
  await database.query(
    `INSERT INTO parked_events (topic, partition, event_offset, queue, key, value, headers, code, cause, awaits)
     SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::text[], $5::bytea[], $6::bytea[], $7::json[], $8::text[], $9::text[],
                          $10::text[])
     ON CONFLICT (topic, partition, event_offset) DO UPDATE SET
       state = 'parked', value = EXCLUDED.value, code = EXCLUDED.code, cause = EXCLUDED.cause, awaits = EXCLUDED.awaits,
       parked_at = clock_timestamp(), resolved_at = NULL`,
    [
      events.map(({ topic }) => topic),
      events.map(({ partition }) => partition),
      events.map(({ message }) => String(message.offset)),
      events.map(({ queue }) => queue),
      events.map(({ message }) => message.key),
      events.map(({ message }) => message.value),
      events.map(({ message }) => JSON.stringify(message.headers)),
      events.map(({ poison }) => poison.code),
      // Text of Postgres holds no NUL; a cause may quote one from the event.
      events.map(({ poison }) => poison.cause.replaceAll('\0', '\\0').slice(0, 4000)),
      events.map(({ poison }) => poison.awaits ?? null),
    ],
  );
  const [row] = await queryText(database, `SELECT count(*), min(cause) FROM parked_events WHERE state = 'parked'`);
  const parked = Number(row?.[0] ?? 0);
  if (parked <= most) return;
  const first = events.find(({ poison }) => poison.code !== behindCode) ?? events[0];
  throw new CdcError(
    parkedFull,
    `${schema} would have more than ${most} parked events; one of them: topic ${first?.topic}, partition ${first?.partition}, ` +
      `offset ${first?.message.offset}: ${first?.poison.cause}`,
  );
}

/** A parked event as it was consumed, with what was said of it. */
export type ParkedEvent = TopicPartition & {
  readonly id: string;
  readonly queue: string;
  readonly message: ConsumedMessage;
  readonly state: string;
  readonly code: string;
  readonly cause: string;
  /** As Postgres prints it. */
  readonly parkedAt: string;
};

const columns = `id, topic, partition, queue, event_offset, encode(key, 'hex'), encode(value, 'hex'), headers, state, code, cause, parked_at`;

/** Where a list or a row does not need them, values stay in the database: 10,000 of them may be gigabytes. */
const columnsWithoutValue = `id, topic, partition, queue, event_offset, encode(key, 'hex'), NULL, '{}', state, code, cause, parked_at`;

/** A page of a queue holds so many events and, from the second on, so many bytes of them. */
const pageEvents = 500;
const pageBytes = 8 * 2 ** 20;

/** The next events that wait in a queue, in their order, from behind an offset on: as many as may be in memory at once. */
export async function eventsOfQueue(database: Database, { topic, partition, queue }: Queue, behind = -1n): Promise<readonly ParkedEvent[]> {
  const rows = await queryText(
    database,
    `SELECT ${columns}
       FROM (SELECT next.*, row_number() OVER in_order AS nth,
                    sum(coalesce(octet_length(value), 0) + coalesce(octet_length(key), 0)) OVER in_order AS bytes
               FROM (SELECT * FROM parked_events
                      WHERE state = 'parked' AND topic = $1 AND partition = $2 AND queue = $3 AND event_offset > $4
                      ORDER BY event_offset LIMIT $5) AS next
             WINDOW in_order AS (ORDER BY event_offset)) AS page
      WHERE nth = 1 OR bytes <= $6 ORDER BY event_offset`,
    [topic, partition, queue, String(behind), pageEvents, pageBytes],
  );
  return rows.map(toParkedEvent);
}

export type ParkedFilter = { readonly topic?: string | undefined; readonly id?: string | undefined; readonly all?: boolean | undefined };

/** Parked events by partition and offset, without values and headers; with `all` also those that were applied or discarded since. */
export async function listParked(database: Database, { topic, id, all }: ParkedFilter, most: number): Promise<readonly ParkedEvent[]> {
  return await selectParked(database, columnsWithoutValue, { topic, id, all }, most);
}

/** One event, whole. */
export async function findParked(database: Database, id: string): Promise<ParkedEvent | undefined> {
  const [event] = await selectParked(database, columns, { id, all: true }, 1);
  return event;
}

async function selectParked(
  database: Database,
  selected: string,
  { topic, id, all }: ParkedFilter,
  most: number,
): Promise<readonly ParkedEvent[]> {
  const rows = await queryText(
    database,
    `SELECT ${selected} FROM parked_events
      WHERE ($1::boolean OR state = 'parked') AND ($2::text IS NULL OR topic = $2) AND ($3::bigint IS NULL OR id = $3)
      ORDER BY topic, partition, event_offset LIMIT $4`,
    [all === true, topic ?? null, id ?? null, most],
  );
  return rows.map(toParkedEvent);
}

/** The queues that events of these ids, or of this topic, wait in; all open ones when neither is given. */
export async function queuesOf(
  database: Database,
  { topic, ids }: { readonly topic?: string | undefined; readonly ids?: readonly string[] | undefined },
): Promise<readonly Queue[]> {
  const rows = await queryText(
    database,
    `SELECT topic, partition, queue FROM parked_events
      WHERE state = 'parked' AND ($1::text IS NULL OR topic = $1) AND ($2::bigint[] IS NULL OR id = ANY ($2))
      GROUP BY topic, partition, queue ORDER BY min(id)`,
    [topic ?? null, ids ?? null],
  );
  return rows.map((row) => ({ topic: text(row, 0), partition: Number(row[1]), queue: text(row, 2) }));
}

/** The queues whose events await that the row `awaited` leaves its mirror. */
export async function queuesAwaiting(database: Database, awaited: readonly string[]): Promise<readonly Queue[]> {
  const rows = await queryText(
    database,
    `SELECT DISTINCT topic, partition, queue FROM parked_events WHERE state = 'parked' AND awaits = ANY ($1::text[]) ORDER BY 1, 2, 3`,
    [awaited],
  );
  return rows.map((row) => ({ topic: text(row, 0), partition: Number(row[1]), queue: text(row, 2) }));
}

export async function resolveEvents(database: Database, ids: readonly string[], state: 'applied' | 'discarded'): Promise<void> {
  await database.query(
    `UPDATE parked_events SET state = $2, resolved_at = clock_timestamp(), value = CASE WHEN $2 = 'applied' THEN NULL ELSE value END
      WHERE id = ANY ($1::bigint[])`,
    [ids, state],
  );
}

/** After a retry that failed: why, this time. */
export async function restateCause(database: Database, id: string, { code, cause, awaits }: Poison): Promise<void> {
  await database.query('UPDATE parked_events SET code = $2, cause = $3, awaits = $4 WHERE id = $1::bigint', [
    id,
    code,
    cause.replaceAll('\0', '\\0').slice(0, 4000),
    awaits ?? null,
  ]);
}

/** Holds the partition: no live event of it is applied until the transaction ends. */
export async function holdPartition(database: Database, { topic, partition }: TopicPartition): Promise<void> {
  await database.query('SELECT FROM applied_offsets WHERE topic = $1 AND partition = $2 FOR UPDATE', [topic, partition]);
}

function toParkedEvent(row: TextRow): ParkedEvent {
  const [key, value] = [row[5] ?? null, row[6] ?? null];
  return {
    id: text(row, 0),
    topic: text(row, 1),
    partition: Number(row[2]),
    queue: text(row, 3),
    message: {
      offset: BigInt(text(row, 4)),
      key: key === null ? null : Buffer.from(key, 'hex'),
      value: value === null ? null : Buffer.from(value, 'hex'),
      timestamp: 0,
      headers: readHeaders(text(row, 7)),
    },
    state: text(row, 8),
    code: text(row, 9),
    cause: text(row, 10),
    parkedAt: text(row, 11),
  };
}

function readHeaders(json: string): Record<string, string> {
  const parsed: unknown = JSON.parse(json);
  return Object.fromEntries(Object.entries(parsed ?? {}).map(([name, value]) => [name, String(value)]));
}

/** How many events of each partition (`topic/partition`) are parked. */
export async function parkedCounts(database: Database, schema: string): Promise<ReadonlyMap<string, number>> {
  const rows = await queryText(
    database,
    `SELECT topic || '/' || partition, count(*) FROM ${qualified(schema, 'parked_events')} WHERE state = 'parked' GROUP BY topic, partition`,
  );
  return new Map(rows.map((row) => [text(row, 0), Number(row[1])]));
}
