import type { OutgoingMessage } from '#kafka/index.ts';

/** How a topic is filled: rows only ever inserted, or half inserts, two fifths updates and one tenth deletes (each with its tombstone). */
export type StreamKind = 'insert-only' | 'mixed';

export type Stream = {
  readonly kind: StreamKind;
  /** Change events and tombstones: what has to be read. */
  readonly messages: readonly OutgoingMessage[];
  /** Changes of rows, tombstones not counted: what rates and costs refer to. */
  readonly changes: number;
  readonly inserts: number;
  /** Rows that a table holds when everything is applied. */
  readonly rows: number;
  /** Keys of the rows that each partition inserts last: when a table has them all, all is applied. */
  readonly markers: readonly number[];
};

export type StreamPlace = { readonly topicPrefix: string; readonly partitions: number };

/** Events of the order table as Debezium writes them on a Postgres stream, with all of its metadata: some 850 bytes each. */
export function orderStream(kind: StreamKind, changes: number, { topicPrefix, partitions }: StreamPlace): Stream {
  const messages: OutgoingMessage[] = [];
  const live: number[] = [];
  let next = 1;
  for (let at = 0; at < changes; at += 1) {
    const dice = kind === 'mixed' ? at % 10 : 0;
    // A prime step walks the live rows in an order that is the same in each run.
    const place = (at * 7919) % Math.max(1, live.length);
    const old = live[place];
    if (dice < 5 || old === undefined) {
      messages.push(event(topicPrefix, 'c', next, at, null, row(next, at)));
      live.push(next);
      next += 1;
    } else if (dice < 9) {
      messages.push(event(topicPrefix, 'u', old, at, row(old, at - 1), row(old, at)));
    } else {
      messages.push(event(topicPrefix, 'd', old, at, row(old, at - 1), null), { key: `{"id":${old}}`, value: null });
      live[place] = live.at(-1) ?? old;
      live.pop();
    }
  }
  const markers = Array.from({ length: partitions }, (_, partition) => 1_000_000_000 + partition);
  for (const [partition, id] of markers.entries()) messages.push({ ...event(topicPrefix, 'c', id, changes, null, row(id, 0)), partition });
  return { kind, messages, changes, inserts: next - 1, rows: live.length + partitions, markers };
}

function event(prefix: string, op: string, id: number, at: number, before: string | null, after: string | null): OutgoingMessage {
  const ms = 1_763_900_000_000 + at;
  const lsn = 24_000_000 + at * 200;
  return {
    key: `{"id":${id}}`,
    value:
      `{"before":${before},"after":${after},"source":{"version":"3.6.1.Final","connector":"postgresql","name":"${prefix}","ts_ms":${ms},` +
      `"snapshot":"false","db":"legacy","sequence":"[\\"${lsn - 80}\\",\\"${lsn}\\"]","ts_us":${ms}123,"ts_ns":${ms}123000,"schema":"public",` +
      `"table":"orders","txId":${700 + at},"lsn":${lsn},"xmin":null},"transaction":{"id":"${700 + at}:${lsn}","total_order":1,` +
      `"data_collection_order":1},"op":"${op}","ts_ms":${ms + 12},"ts_us":${ms + 12}456,"ts_ns":${ms + 12}456789}`,
  };
}

const statuses = ['new', 'paid', 'packed', 'shipped', 'delivered'];

function row(id: number, at: number): string {
  const micros = String(at % 1_000_000).padStart(6, '0');
  return `{"id":${id},"customer_id":${1 + (id % 5000)},"status":"${statuses[at % statuses.length]}","note":${
    id % 3 === 0 ? '"leave it with the neighbour, the bell is broken"' : 'null'
  },"placed_at":"2026-11-22T15:00:00.${micros}Z","updated_at":"2026-11-22T15:01:02.${micros}Z"}`;
}
