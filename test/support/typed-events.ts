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
 * What the compiler says of these events under files that `cdc types` made, by the name of each file: nothing, where every value of every column is of its declared type,
 * every declared column is there, and no other is.
 *
 * @param name that of the table in its types: Samples
 */
export async function typeErrors(
  compiler: StrictCompiler,
  texts: Readonly<Record<string, string>>,
  name: string,
  events: readonly DecodedEvent[],
): Promise<Readonly<Record<string, readonly string[]>>> {
  const program = programOf(name, events);
  const files: Record<string, string> = {};
  const errors: Record<string, string[]> = {};
  for (const [index, [file, text]] of Object.entries(texts).entries()) {
    files[`types-${index}.ts`] = text;
    files[`events-${index}.ts`] = program(`./types-${index}.ts`);
    errors[file] = [];
  }
  const order = Object.values(errors);
  for (const line of (await compiler.compile(files)).split('\n').filter((each) => each !== '')) {
    const index = /^(?:types|events)-(?<index>\d+)\.ts\(/.exec(line)?.groups?.['index'];
    // Lines that go on with the one before have no place of their own.
    if (index !== undefined) order[Number(index)]?.push(line);
    else if (!line.startsWith(' ')) assert.fail(line);
  }
  return errors;
}

function programOf(name: string, events: readonly DecodedEvent[]): (types: string) => string {
  const rows = events.flatMap(({ value: { after = null } }) => (after === null ? [] : [`  ${valueSource(after)},`]));
  const keys = events.flatMap(({ key }) => (key === null ? [] : [`  ${valueSource(key)},`]));
  // Of an event and a change more members may come: only what is fresh is refused them.
  const calls = events.flatMap(({ key, value }) => {
    const { before = null, after = null } = value;
    const change = { op: words[operationOf(value)] ?? '', key, before, after };
    return [`event(${valueSource(value)});`, `change(${valueSource(change)});`];
  });
  return (types) =>
    [
      `import type { ${name}Row, ${name}Key, ${name}Event, ${name}Change } from '${types}';`,
      `export const rows: readonly ${name}Row[] = [`,
      ...rows,
      `];\nexport const keys: readonly ${name}Key[] = [`,
      ...keys,
      '];',
      `function event<Given extends ${name}Event>(given: Given): void { void given; }`,
      `function change<Given extends ${name}Change>(given: Given): void { void given; }`,
      ...calls,
    ].join('\n');
}

/** Each of `texts` is another than `text`, and an event speaks against each. */
export async function assertCaught(
  compiler: StrictCompiler,
  text: string,
  texts: Readonly<Record<string, string>>,
  name: string,
  events: readonly DecodedEvent[],
): Promise<void> {
  for (const [what, other] of Object.entries(texts)) assert.ok(other !== text, `${what}: the file is not changed`);
  const errors = await typeErrors(compiler, texts, name, events);
  assert.deepEqual(
    Object.entries(errors).flatMap(([what, found]) => (found.length === 0 ? [what] : [])),
    [],
    'no event speaks against these',
  );
}

/** The letters of the events' operations, each once, in order. */
export function operationsOf(events: readonly DecodedEvent[]): readonly string[] {
  return [...new Set(events.map(({ value }) => operationOf(value)))].toSorted();
}

function operationOf({ op }: DecodedEvent['value']): string {
  return typeof op === 'string' ? op : '';
}

function isObject(value: JsonValue): value is Readonly<Record<string, JsonValue>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
