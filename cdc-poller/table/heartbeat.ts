import { formatTableId, heartbeatTable, heartbeatTopic, queryConnector, type TableId } from '#change-events/index.ts';
import type { OutgoingMessage, TopicSpec } from '#kafka/index.ts';
import type { Micros } from '../fence/floor.ts';
import { formatMicros } from '../fence/micros.ts';

/**
 * How a table's poller says that it is alive, and up to when its topic is complete. Always JSON, which every reader takes: it is of no table that
 * could change, and must not hang on a registry.
 */
export type Heartbeat = {
  readonly everyMs: number;
  readonly topic: string;
  /** Every row version that was committed before `provenTo` (the server's clock) has been published, or is in the same transaction. */
  message(provenTo: Micros): OutgoingMessage;
};

/**
 * Only the last heartbeat of a table says anything: the rest is removed soon. Stamped by the broker, whose clock is not the one that the heartbeats
 * speak of.
 */
export function heartbeatTopicSpec(prefix: string, replicationFactor: number): TopicSpec {
  return {
    topic: heartbeatTopic(prefix),
    partitions: 1,
    replicationFactor,
    config: {
      'cleanup.policy': 'compact',
      'segment.ms': '600000',
      'min.cleanable.dirty.ratio': '0.1',
      'delete.retention.ms': '3600000',
      'message.timestamp.type': 'LogAppendTime',
    },
  };
}

export function createHeartbeat(
  { database, table, prefix }: { readonly database: string; readonly table: TableId; readonly prefix: string },
  everyMs: number,
): Heartbeat {
  const id = formatTableId(table);
  return {
    everyMs,
    topic: heartbeatTopic(prefix),
    message(provenTo) {
      const now = Date.now();
      const source = {
        version: '1',
        connector: queryConnector,
        name: prefix,
        ts_ms: now,
        snapshot: 'false',
        db: database,
        ...heartbeatTable,
        txId: null,
        lsn: null,
      };
      const after = { id, beat_at: formatMicros(provenTo) };
      return {
        key: JSON.stringify({ id }),
        value: JSON.stringify({ before: null, after, source, transaction: null, op: 'u', ts_ms: now }),
      };
    },
  };
}
