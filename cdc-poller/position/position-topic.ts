import { readToEnd, type Kafka, type OutgoingMessage, type TopicSpec } from '#kafka/index.ts';
import { decodeChunk, decodeHead, type PositionHead, type RememberedChunk } from './codec.ts';
import { tellWaits, type Progress } from './tell-waits.ts';

/**
 * Positions live in one compacted topic per poller name. A table has a head record, and records with chunks of remembered keys that the
 * head lists by number: so that a commit writes what it adds, not all that is remembered.
 */
export function positionTopic(pollerName: string): string {
  return `cdc-poller.${pollerName}.positions`;
}

/** One partition: a table's records must be read in the order in which they were written. */
export function positionTopicSpec(pollerName: string, replicationFactor: number): TopicSpec {
  return {
    topic: positionTopic(pollerName),
    partitions: 1,
    replicationFactor,
    config: { 'cleanup.policy': 'compact', 'segment.ms': '3600000', 'min.cleanable.dirty.ratio': '0.1' },
  };
}

/** What the topic holds of one table. */
export type StoredTable = {
  readonly head: PositionHead | null;
  /** Where the head's record stands, in words; empty without one. */
  readonly place: string;
  readonly chunks: ReadonlyMap<number, RememberedChunk>;
  /** The process that last took the table over. */
  readonly owner: string | null;
};

export function headKey(table: string): string {
  return JSON.stringify({ table });
}

export function chunkKey(table: string, chunk: number): string {
  return JSON.stringify({ table, chunk });
}

export function ownerKey(table: string): string {
  return JSON.stringify({ table, owner: true });
}

export function tombstone(key: string): OutgoingMessage {
  return { key, value: null };
}

/**
 * Reads all committed positions of a poller. The caller owns the transactional ids of the tables that matter to it: then nothing of
 * theirs is still open. Waits for what other tables have open; `progress` is told of it when that lasts.
 *
 * @throws CdcError POSITION_INVALID, TOPIC_MISSING, KAFKA_UNREACHABLE
 */
export async function readPositionTopic(
  kafka: Kafka,
  pollerName: string,
  signal?: AbortSignal,
  progress: Progress = () => undefined,
): Promise<ReadonlyMap<string, StoredTable>> {
  const topic = positionTopic(pollerName);
  using waits = tellWaits(kafka, topic, (key) => parseKey(key).table, progress);
  const records = new Map<string, { readonly text: string; readonly place: string }>();
  await readToEnd(
    kafka,
    topic,
    ({ key, value, offset }, partition) => {
      const name = String(key);
      if (value === null) records.delete(name);
      else records.set(name, { text: value.toString(), place: `topic ${topic}, partition ${partition}, offset ${offset}` });
    },
    signal,
    { onReached: waits.reached },
  );
  const tables = new Map<
    string,
    { head: PositionHead | null; place: string; chunks: Map<number, RememberedChunk>; owner: string | null }
  >();
  for (const [key, { text, place }] of records) {
    const { table, chunk, owner } = parseKey(key);
    const stored = tables.get(table) ?? { head: null, place: '', chunks: new Map(), owner: null };
    tables.set(table, stored);
    if (owner) stored.owner = text;
    else if (chunk === null) {
      stored.head = decodeHead(text, place);
      stored.place = place;
    } else stored.chunks.set(chunk, decodeChunk(text, place));
  }
  return tables;
}

/**
 * Who last took a table over, or was about to: also what is not committed counts. To wait for that could take as long as a transaction may stay
 * open: the asker may have left one itself, when it lost Kafka.
 *
 * @throws CdcError TOPIC_MISSING, KAFKA_UNREACHABLE
 */
export async function readOwner(kafka: Kafka, pollerName: string, table: string, signal?: AbortSignal): Promise<string | null> {
  const wanted = ownerKey(table);
  let owner: string | null = null;
  const onMessage: Parameters<typeof readToEnd>[2] = ({ key, value }) => {
    if (String(key) === wanted && value !== null) owner = value.toString();
  };
  await readToEnd(kafka, positionTopic(pollerName), onMessage, signal, { readUncommitted: true });
  return owner;
}

function parseKey(key: string): { readonly table: string; readonly chunk: number | null; readonly owner: boolean } {
  const parsed: unknown = JSON.parse(key);
  if (typeof parsed !== 'object' || parsed === null || !('table' in parsed) || typeof parsed.table !== 'string') {
    throw new TypeError(`not a position's key: ${key}`);
  }
  return {
    table: parsed.table,
    chunk: 'chunk' in parsed && typeof parsed.chunk === 'number' ? parsed.chunk : null,
    owner: 'owner' in parsed,
  };
}
