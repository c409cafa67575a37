import { CdcError, describeError } from '#pipeline/index.ts';
import * as z from 'zod';
import { readToEnd, type Kafka, type OutgoingMessage, type TopicSpec } from '#kafka/index.ts';
import { decodeChunk, decodeHead, type PositionHead, type RememberedChunk } from './codec.ts';
import { reportWaits, type Progress } from './explain-wait.ts';

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
  /** The place of the head's record, in words; empty without one. */
  readonly place: string;
  readonly chunks: ReadonlyMap<number, RememberedChunk>;
  /** The process that last took the table over. */
  readonly owner: string | null;
  /** The keys of its records. */
  readonly keys: readonly string[];
  /** Why its position cannot be read; of the other tables it says nothing. */
  readonly invalid: CdcError | null;
};

type StoredRecords = Omit<StoredTable, 'chunks' | 'keys' | 'invalid'> & {
  head: StoredTable['head'];
  place: string;
  owner: string | null;
  readonly chunks: Map<number, RememberedChunk>;
  readonly keys: string[];
  /** By chunk; null is the head. */
  readonly unreadable: Map<number | null, string>;
};

/** A record of remembered keys that the head does not list is none of the position's. */
function invalidOf(table: string, { head, unreadable }: StoredRecords): CdcError | null {
  const why = [null, ...(head?.chunks ?? [])].map((chunk) => unreadable.get(chunk)).find((text) => text !== undefined);
  if (why === undefined) return null;
  return new CdcError('POSITION_INVALID', `the position of table ${table} cannot be read: ${why}`, {
    remedy: `Run the version that wrote it, or cdc poller reset --table ${table}, which loads the table again.`,
  });
}

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
 * theirs is still open. Waits for what other tables have open; `progress` is called with it when that lasts.
 *
 * @throws CdcError TOPIC_MISSING, KAFKA_UNREACHABLE
 */
export async function readPositionTopic(
  kafka: Kafka,
  pollerName: string,
  signal?: AbortSignal,
  progress: Progress = () => undefined,
): Promise<ReadonlyMap<string, StoredTable>> {
  const topic = positionTopic(pollerName);
  using waits = reportWaits(kafka, topic, (key) => parseKey(key)?.table ?? 'none', progress);
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
  const tables = new Map<string, StoredRecords>();
  for (const [key, { text, place }] of records) {
    const { table, chunk, owner } = parseKey(key) ?? noTable;
    // What has no key of ours is no position: somebody else has written it.
    if (table === null) continue;
    const stored: StoredRecords = tables.get(table) ?? {
      head: null,
      place: '',
      chunks: new Map(),
      owner: null,
      keys: [],
      unreadable: new Map(),
    };
    tables.set(table, stored);
    stored.keys.push(key);
    if (owner) stored.owner = text;
    else
      try {
        if (chunk !== null) stored.chunks.set(chunk, decodeChunk(text, place));
        else {
          stored.place = place;
          stored.head = decodeHead(text, place);
        }
      } catch (error) {
        stored.unreadable.set(chunk, describeError(error));
      }
  }
  return new Map([...tables].map(([table, stored]) => [table, { ...stored, invalid: invalidOf(table, stored) }]));
}

/** {@link readPositionTopic}; of a poller that has never run, which has no topic: no positions. */
export async function readStoredTables(...where: Parameters<typeof readPositionTopic>): ReturnType<typeof readPositionTopic> {
  try {
    return await readPositionTopic(...where);
  } catch (error) {
    if (error instanceof CdcError && error.code === 'TOPIC_MISSING') return new Map();
    throw error;
  }
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

type RecordKey = { readonly table: string; readonly chunk: number | null; readonly owner: boolean };

const noTable = { table: null, chunk: null, owner: false } as const;

/** Null for what is no key of a position's record. */
function parseKey(key: string): RecordKey | null {
  const parsed = keySchema.safeParse(key);
  if (!parsed.success) return null;
  const { table, chunk, owner } = parsed.data;
  return { table, chunk: chunk ?? null, owner: owner === true };
}

const keySchema = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'not JSON' });
      return z.NEVER;
    }
  })
  .pipe(z.object({ table: z.string(), chunk: z.number().optional(), owner: z.literal(true).optional() }));
