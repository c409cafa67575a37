import assert from 'node:assert/strict';
import { eventDecoder, type JsonValue, type Row } from '#change-events/index.ts';
import { readToEnd, type Kafka } from '#kafka/index.ts';
import type { SchemaRegistryConfig } from '#pipeline/index.ts';
import { valueSource, type StrictCompiler } from './strict-compiler.ts';

/** An event as a consumer has it. Tombstones are left out. */
export type DecodedEvent = { readonly key: Row | null; readonly value: Readonly<Record<string, JsonValue>> };

/** Everything committed to a topic, decoded and otherwise as it is. */
export async function decodedEvents(
  kafka: Kafka,
  topic: string,
  registry: SchemaRegistryConfig | undefined,
): Promise<readonly DecodedEvent[]> {
  const messages: { readonly key: Buffer | null; readonly value: Buffer | null; readonly partition: number; readonly offset: bigint }[] =
    [];
  await readToEnd(kafka, topic, ({ key, value, offset }, partition) => messages.push({ key, value, partition, offset }));
  const decoder = eventDecoder(registry);
  await decoder.prepare(messages, AbortSignal.timeout(120_000));
  return messages.flatMap(({ key, value, partition, offset }) => {
    const place = { topic, partition, offset: offset.toString() };
    const event = decoder.decodeValue(value, place);
    if (event === null) return [];
    assert.ok(isObject(event));
    return [{ key: decoder.decodeKey(key, place), value: event }];
  });
}

const words: Readonly<Record<string, string>> = { c: 'create', u: 'update', d: 'delete', r: 'read', t: 'truncate' };

/**
 * What the compiler says of these events under a file that `cdc types` made: nothing, where every value of every column is of its declared type, every declared column
 * is there, and no other is.
 *
 * @param name that of the table in its types: Samples
 */
export async function typeErrors(
  { compile }: StrictCompiler,
  text: string,
  name: string,
  events: readonly DecodedEvent[],
): Promise<readonly string[]> {
  const rows = events.flatMap(({ value: { after = null } }) => (after === null ? [] : [`  ${valueSource(after)},`]));
  const keys = events.flatMap(({ key }) => (key === null ? [] : [`  ${valueSource(key)},`]));
  // Of an event and a change more members may come: only what is fresh is refused them.
  const calls = events.flatMap(({ key, value }) => {
    const { op = '', before = null, after = null } = value;
    const change = { op: words[String(op)] ?? '', key, before, after };
    return [`event(${valueSource(value)});`, `change(${valueSource(change)});`];
  });
  const program = [
    `import type { ${name}Row, ${name}Key, ${name}Event, ${name}Change } from './types.ts';`,
    `export const rows: readonly ${name}Row[] = [`,
    ...rows,
    `];\nexport const keys: readonly ${name}Key[] = [`,
    ...keys,
    '];',
    `function event<Given extends ${name}Event>(given: Given): void { void given; }`,
    `function change<Given extends ${name}Change>(given: Given): void { void given; }`,
    ...calls,
  ];
  const said = await compile({ 'types.ts': text, 'events.ts': program.join('\n') });
  return said.split('\n').filter((line) => line !== '');
}

function isObject(value: JsonValue): value is Readonly<Record<string, JsonValue>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
