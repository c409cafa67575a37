import { heartbeatTopic, openRegistry, type Registry, type TableId } from '#change-events/index.ts';
import { envelopeOf, plain, shapeOf, type Member, type SubjectSchema, type TypeShape } from '#change-events/types/index.ts';
import { CdcError, type LegacyDbConfig, type SchemaRegistryConfig } from '#pipeline/index.ts';
import type { Strategy, TableTypes, TypedMember } from './table-types.ts';

/** A topic of a table, and which table that is. */
export type TableTopic = { readonly topic: string; readonly source: TableId };

export type RegistryQuestion = {
  readonly registry: Registry;
  readonly strategy: Strategy;
  readonly dialect: LegacyDbConfig['dialect'];
  readonly signal: AbortSignal;
};

/** The topics under a prefix that have schemas. A table's name is that of its topic, in which odd signs are `_`. @throws CdcError REGISTRY_… */
export async function registeredTopics(registry: Registry, prefix: string, signal: AbortSignal): Promise<readonly TableTopic[]> {
  const subjects = (await registry.subjects(signal)).toSorted();
  return subjects.flatMap((subject) => {
    const topic = subject.endsWith('-value') ? subject.slice(0, -'-value'.length) : '';
    if (!topic.startsWith(`${prefix}.`) || topic === heartbeatTopic(prefix)) return [];
    const [schema = '', ...table] = topic.slice(prefix.length + 1).split('.');
    return [{ topic, source: { schema, table: table.join('.') } }];
  });
}

/**
 * The tables of these topics, as the newest schemas have them; asks no database. What the log has of a row before its change no schema says: its key is all that is
 * certain. A topic without schemas has no table here.
 *
 * @throws CdcError REGISTRY_UNREACHABLE, REGISTRY_REFUSED, SCHEMA_INVALID
 */
export async function registeredTypes(question: RegistryQuestion, topics: readonly TableTopic[]): Promise<readonly TableTypes[]> {
  const tables: TableTypes[] = [];
  for (const topic of topics) {
    const table = await registeredTable(question, topic);
    if (table !== null) tables.push(table);
  }
  return tables;
}

/** Null for what is no topic of a table, such as that of transactions, and for one that has no schemas (any more). */
async function registeredTable(
  { registry, strategy, dialect, signal }: RegistryQuestion,
  { topic, source }: TableTopic,
): Promise<TableTypes | null> {
  const value = await newest(registry, `${topic}-value`, signal);
  const envelope = value === null ? null : envelopeOf(shapeOf(value));
  if (envelope === null) return null;
  const key = await newest(registry, `${topic}-key`, signal);
  const keyShape = key === null ? null : shapeOf(key);
  const members = keyShape?.kind === 'object' ? keyShape.members : [];
  const typed = (member: Member): TypedMember => {
    const type = dialect === 'mariadb' ? withMariadbLabels(member.type, strategy) : member.type;
    // What is not required may be missing from an event that an older schema wrote; every event of this one has it.
    return { ...member, type, optional: false, isSure: type !== plain.json };
  };
  const columns = members.map(({ name }) => name);
  return {
    source,
    topic,
    strategy,
    row: envelope.row.members.map(typed),
    key: members.map(typed),
    before: strategy === 'query' || columns.length === 0 ? { kind: 'none' } : { kind: 'columns', columns, inUpdates: true },
    apart: [],
  };
}

/** In the log, labels with a comma come in two ways. And a value that was no label when it was written is empty. */
function withMariadbLabels(type: TypeShape, strategy: Strategy): TypeShape {
  if (type.kind === 'either') return { ...type, of: type.of.map((part) => withMariadbLabels(part, strategy)) };
  if (type.kind !== 'literals') return type;
  const escaped = strategy === 'query' ? [] : type.values.map((label) => String(label).replaceAll(',', String.raw`\,`));
  return { kind: 'literals', values: [...new Set([...type.values, ...escaped, ''])] };
}

async function newest(registry: Registry, subject: string, signal: AbortSignal): Promise<SubjectSchema | null> {
  const latest = await registry.latest(subject, signal);
  const schema = latest === null ? null : await registry.schemaOf(latest.id, signal);
  return latest === null || schema === null || schema.schemaType === 'PROTOBUF'
    ? null
    : { subject, version: latest.version, id: latest.id, schema };
}

/** @throws CdcError CONFIG_INVALID */
export function registryOf(config: SchemaRegistryConfig | undefined): Registry {
  if (config === undefined)
    throw new CdcError('CONFIG_INVALID', 'pipeline.yaml has no schemaRegistry section', {
      remedy: 'Set schemaRegistry.url, or make the types from the catalogue: --from catalogue.',
    });
  return openRegistry(config);
}
