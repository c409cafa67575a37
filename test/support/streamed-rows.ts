import { escapeIdentifier } from 'pg';
import * as z from 'zod';
import { decodeChangeEvent, topicName, type ChangeEvent } from '#change-events/index.ts';
import { waitFor } from '#stack/index.ts';
import type { DoctorDatabase } from './doctor.ts';
import { observeTopics, testKafka, type TopicObserver } from './kafka.ts';
import { uniqueName } from './stack.ts';
import type { ZooTable } from './table-zoo.ts';

/** Per table its rows as texts, sorted. */
export type Rows = Readonly<Record<string, readonly string[]>>;

/** Columns whose text is the same in the source and in an event, and which the log of this version holds. */
async function comparable(db: DoctorDatabase, { schema, table }: ZooTable, version: number): Promise<readonly string[]> {
  const held = version < 18 ? ['s', 'v'] : ['v'];
  const rows =
    await db.run(`SELECT attname FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
    JOIN pg_type t ON t.oid = atttypid WHERE nspname = ${literal(schema)} AND relname = ${literal(table)} AND attnum > 0 AND NOT attisdropped
      AND t.typcategory IN ('N', 'S') AND attgenerated::text <> ALL ('{${held.join(',')}}') ORDER BY attnum`);
  return rows.map(({ attname }) => attname ?? '');
}

export async function sourceRows(db: DoctorDatabase, tables: readonly ZooTable[], version: number): Promise<Rows> {
  const entries = tables.map(async (one) => {
    const columns = (await comparable(db, one, version)).map((name) => escapeIdentifier(name));
    const rows = await db.run(`SELECT ${columns.join(', ')} FROM ${escapeIdentifier(one.schema)}.${escapeIdentifier(one.table)}`);
    return [`${one.schema}.${one.table}`, rows.map((row) => JSON.stringify(row)).toSorted()] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** What the events of a connector amount to, as soon as it is what is expected; else what it is after a while. */
export async function streamedRows(db: DoctorDatabase, tables: readonly ZooTable[], expected: Rows): Promise<Rows> {
  const kafka = await testKafka();
  const topics = new Map(tables.map(({ schema, table }) => [topicName(db.name, { schema, table }), `${schema}.${table}`]));
  await using admin = await kafka.admin();
  const signal = AbortSignal.timeout(180_000);
  const there = async (): Promise<boolean> => {
    const names = new Set(await admin.listTopics());
    return [...topics.keys()].every((topic) => names.has(topic));
  };
  await waitFor(there, { signal, timeoutMs: 120_000, describe: 'the topics of every table' }).catch(() => undefined);
  const names = new Set(await admin.listTopics());
  const found = [...topics.keys()].filter((topic) => names.has(topic));
  await using observer = await observeTopics(kafka, found, uniqueName('zoo'));
  // Asked for with every batch that comes: a topic is replayed only when it has grown, and a message decoded once.
  const replayed = new Map<string, { readonly messages: number; readonly rows: readonly string[] }>();
  const decoded = new WeakMap<Message, ChangeEvent | null>();
  const rowsOf = (topic: string, name: string, messages: readonly Message[]): readonly string[] => {
    const known = replayed.get(topic);
    if (known?.messages === messages.length) return known.rows;
    const columns = Object.keys(z.record(z.string(), z.unknown()).parse(JSON.parse(expected[name]?.[0] ?? '{}')));
    const rows = replay(messages, columns, decoded);
    replayed.set(topic, { messages: messages.length, rows });
    return rows;
  };
  const now = (): Rows => {
    const byTopic = Map.groupBy(observer.messages, ({ topic }) => topic);
    return Object.fromEntries([...topics].map(([topic, name]) => [name, rowsOf(topic, name, byTopic.get(topic) ?? [])]));
  };
  const text = JSON.stringify(expected);
  await observer
    .until(
      () => JSON.stringify(now()) === text,
      () => 'the rows of the source',
      120_000,
    )
    .catch(() => undefined);
  return now();
}

type Message = TopicObserver['messages'][number];

function replay(
  messages: readonly Message[],
  columns: readonly string[],
  decoded: WeakMap<Message, ChangeEvent | null>,
): readonly string[] {
  const rows = new Map<string, string[]>();
  for (const message of messages) {
    const { key, value, topic, partition, offset } = message;
    const known = decoded.get(message);
    const event = known === undefined && value !== null ? decodeChangeEvent(value, { topic, partition, offset: offset.toString() }) : known;
    decoded.set(message, event ?? null);
    if (event === null || event === undefined) continue;
    if (event.op === 't') {
      rows.clear();
      continue;
    }
    const print = (row: Readonly<Record<string, unknown>>): string => printed(row, columns);
    // Without a key a row is known by all that it was.
    if (key === null && event.before !== null) take(rows, print(event.before));
    if (event.after === null) {
      if (key !== null) rows.delete(key.toString());
    } else if (key === null) rows.set(print(event.after), [...(rows.get(print(event.after)) ?? []), print(event.after)]);
    else rows.set(key.toString(), [print(event.after)]);
  }
  return [...rows.values()].flat().toSorted();
}

function printed(row: Readonly<Record<string, unknown>>, columns: readonly string[]): string {
  return JSON.stringify(Object.fromEntries(columns.map((name) => [name, textOf(row[name])])));
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? `${value}` : null;
}

function take(rows: Map<string, string[]>, row: string): void {
  const left = (rows.get(row) ?? []).slice(1);
  if (left.length === 0) rows.delete(row);
  else rows.set(row, left);
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
