import { parseLossless, stringifyLossless, type JsonValue, type NewSchema } from '#change-events/index.ts';

/** A row's or a key's field, in words. */
type Field = { readonly type: string; readonly hasDefault: boolean; readonly nullable: boolean };

/**
 * What is different between the rows (or keys) of two schemas of the poller's making, in words: fields added, removed, of another type. Empty where
 * nothing is, or where the old schema is not of that making.
 */
export function differenceOf(before: NewSchema, after: NewSchema): readonly string[] {
  const [old, now] = [fieldsOf(before), fieldsOf(after)];
  const removed = [...old].filter(([name]) => !now.has(name)).map(([name]) => `field "${name}" removed`);
  const changes = [...now].flatMap(([name, field]) => {
    const was = old.get(name);
    if (was === undefined) return [`field "${name}" added (${describe(field)})`];
    if (was.type !== field.type || was.nullable !== field.nullable) return [`field "${name}" is ${describe(field)}, was ${describe(was)}`];
    return was.hasDefault && !field.hasDefault ? [`field "${name}" has lost its default`] : [];
  });
  return [...removed, ...changes];
}

function describe({ type, nullable, hasDefault }: Field): string {
  if (nullable) return `${type}, nullable`;
  return hasDefault ? `${type}, not null, with a default` : `${type}, not null, without a constant default`;
}

function fieldsOf({ schema, schemaType }: NewSchema): ReadonlyMap<string, Field> {
  try {
    return schemaType === 'AVRO' ? avroFields(parseLossless(schema)) : jsonFields(parseLossless(schema));
  } catch {
    return new Map();
  }
}

function avroFields(schema: JsonValue): ReadonlyMap<string, Field> {
  const fields = itemsOf(member(schema, 'fields'));
  const before = fields.find((field) => member(field, 'name') === 'before');
  const row = before === undefined ? fields : itemsOf(member(itemsOf(member(before, 'type'))[1], 'fields'));
  return new Map(
    row.map((field) => {
      const type = member(field, 'type');
      const branches = type !== undefined && isList(type) ? type : [type ?? null];
      const value = branches.find((branch) => branch !== 'null') ?? null;
      return [
        textOf(member(field, 'name')),
        { type: avroType(value), hasDefault: member(field, 'default') !== undefined, nullable: branches.includes('null') },
      ];
    }),
  );
}

function avroType(type: JsonValue | undefined): string {
  const base = typeof type === 'string' ? type : textOf(member(type, 'type'));
  if (base === 'array') {
    const items = itemsOf(member(type, 'items')).find((branch) => branch !== 'null') ?? null;
    return `array of ${avroType(items)}`;
  }
  const meaning = member(type, 'connect.name');
  return typeof meaning === 'string' ? `${base} (${meaning})` : base;
}

function jsonFields(schema: JsonValue): ReadonlyMap<string, Field> {
  const row = member(member(schema, 'definitions'), 'Value') ?? schema;
  const properties = member(row, 'properties');
  if (typeof properties !== 'object' || properties === null || isList(properties)) return new Map();
  return new Map(
    Object.entries(properties).map(([name, property]) => {
      const type = member(property, 'type');
      const types = type !== undefined && isList(type) ? type : [type ?? null];
      const title = member(property, 'title');
      const base = types
        .filter((one) => one !== 'null')
        .map(textOf)
        .join(' or ');
      return [
        name,
        {
          type: typeof title === 'string' ? `${base} (${title})` : base,
          hasDefault: member(property, 'default') !== undefined,
          nullable: types.includes('null'),
        },
      ];
    }),
  );
}

function member(value: JsonValue | undefined, name: string): JsonValue | undefined {
  return typeof value === 'object' && value !== null && !isList(value) ? value[name] : undefined;
}

function itemsOf(value: JsonValue | undefined): readonly JsonValue[] {
  return value !== undefined && isList(value) ? value : [];
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : stringifyLossless(value ?? null);
}
