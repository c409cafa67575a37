/** An Avro schema with its names resolved, as far as reading needs it. A named type that refers to itself is the same object again. */
export type AvroType =
  | { readonly kind: Primitive; readonly meaning: Meaning }
  | { readonly kind: 'fixed'; readonly size: number; readonly meaning: Meaning }
  | { readonly kind: 'enum'; readonly symbols: readonly string[] }
  | { readonly kind: 'array' | 'map'; readonly items: AvroType }
  | { readonly kind: 'union'; readonly branches: readonly AvroType[] }
  | { readonly kind: 'record'; readonly fields: readonly AvroField[]; readonly meaning: Meaning };

export type Primitive = 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string';

/** `name` is the column's, where the schema says that Avro's rules for names changed it. */
export type AvroField = { readonly name: string; readonly type: AvroType };

/** What a schema says its values mean, beyond their bytes. */
export type Meaning = {
  /** Of Connect: `connect.name`, as `io.debezium.time.MicroTimestamp`. */
  readonly connectName: string | null;
  /** Of Avro. */
  readonly logicalType: string | null;
  /** Of a decimal: digits after the point. */
  readonly scale: number;
  /** Of a decimal: digits in all. */
  readonly precision?: number;
  /** Of Connect: `connect.parameters`, as `allowed` of an enum. */
  readonly parameters?: Readonly<Record<string, string>>;
};

const primitives: ReadonlySet<string> = new Set<Primitive>(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string']);
const plain: Meaning = { connectName: null, logicalType: null, scale: 0 };

/** What Debezium notes of a column with `column.propagate.source.type`: its own name, which Avro may not have been able to take. */
const columnName = '__debezium.source.column.name';

/**
 * Parses a schema. `references` are the texts of the schemas that it names types of, each after those that it needs itself.
 *
 * @throws TypeError or SyntaxError that says what is no Avro
 */
export function parseAvroSchema(text: string, references: readonly string[] = []): AvroType {
  const names = new Map<string, AvroType>();
  for (const reference of references) parse(JSON.parse(reference), names, '');
  return parse(JSON.parse(text), names, '');
}

/** The full name of the record that a schema is; null when it is none. */
export function recordName(text: string): string | null {
  const schema: unknown = JSON.parse(text);
  return isObject(schema) && schema.type === 'record' ? fullName(schema, '') : null;
}

function parse(schema: unknown, names: Map<string, AvroType>, namespace: string): AvroType {
  if (typeof schema === 'string') return named(schema, plain, names, namespace);
  if (Array.isArray(schema)) return { kind: 'union', branches: schema.map((branch: unknown) => parse(branch, names, namespace)) };
  const attributes = attributesOf(schema);
  const { type } = attributes;
  if (typeof type === 'object') return parse(type, names, namespace);
  if (typeof type !== 'string') throw new TypeError('an Avro schema has a type');
  switch (type) {
    case 'record':
    case 'error':
      return parseRecord(attributes, names, namespace);
    case 'enum':
      return declare(attributes, names, namespace, { kind: 'enum', symbols: listOf(attributes, 'symbols').map(String) });
    case 'fixed':
      return declare(attributes, names, namespace, { kind: 'fixed', size: sizeOf(attributes), meaning: meaningOf(attributes) });
    case 'array':
      return { kind: 'array', items: parse(attributes['items'], names, namespace) };
    case 'map':
      return { kind: 'map', items: parse(attributes['values'], names, namespace) };
    default:
      return named(type, meaningOf(attributes), names, namespace);
  }
}

/** Known by its name before its fields are read: they may refer to it. */
function parseRecord(attributes: Attributes, names: Map<string, AvroType>, namespace: string): AvroType {
  const fields: AvroField[] = [];
  const record = declare(attributes, names, namespace, { kind: 'record', fields, meaning: meaningOf(attributes) });
  const inside = namespaceOf(fullName(attributes, namespace));
  for (const field of listOf(attributes, 'fields')) {
    const one = attributesOf(field);
    fields.push({ name: fieldName(one), type: parse(one['type'], names, inside) });
  }
  return record;
}

function declare(attributes: Attributes, names: Map<string, AvroType>, namespace: string, type: AvroType): AvroType {
  names.set(fullName(attributes, namespace), type);
  return type;
}

function named(name: string, meaning: Meaning, names: ReadonlyMap<string, AvroType>, namespace: string): AvroType {
  if (isPrimitive(name)) return { kind: name, meaning };
  const found = names.get(name.includes('.') || namespace === '' ? name : `${namespace}.${name}`) ?? names.get(name);
  if (found === undefined) throw new TypeError(`the Avro type ${name} is not defined`);
  return found;
}

function isPrimitive(name: string): name is Primitive {
  return primitives.has(name);
}

function fullName(attributes: Attributes, namespace: string): string {
  const { name, namespace: own } = attributes;
  if (typeof name !== 'string') throw new TypeError(`an Avro ${String(attributes.type)} has a name`);
  if (name.includes('.')) return name;
  const space = typeof own === 'string' ? own : namespace;
  return space === '' ? name : `${space}.${name}`;
}

function namespaceOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('.')));
}

/** Connect keeps a column's parameters with the field's type, of a union in its branch that is not null. */
function fieldName(field: Attributes): string {
  const { name, type } = field;
  if (typeof name !== 'string') throw new TypeError('a field of an Avro record has a name');
  for (const branch of Array.isArray(type) ? type : [type]) {
    const parameters = isObject(branch) ? branch['connect.parameters'] : undefined;
    const original = isObject(parameters) ? parameters[columnName] : undefined;
    if (typeof original === 'string') return original;
  }
  return name;
}

function meaningOf(attributes: Attributes): Meaning {
  const { logicalType, scale, precision } = attributes;
  const connectName = attributes['connect.name'];
  const parameters = attributes['connect.parameters'];
  return {
    connectName: typeof connectName === 'string' ? connectName : null,
    logicalType: typeof logicalType === 'string' ? logicalType : null,
    scale: typeof scale === 'number' ? scale : 0,
    ...(typeof precision === 'number' ? { precision } : {}),
    ...(isObject(parameters)
      ? { parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, String(value)])) }
      : {}),
  };
}

function sizeOf({ size }: Attributes): number {
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw new TypeError('an Avro fixed has a size');
  return size;
}

function listOf(attributes: Attributes, name: 'fields' | 'symbols'): readonly unknown[] {
  const list = attributes[name];
  if (!Array.isArray(list)) throw new TypeError(`an Avro ${String(attributes.type)} has ${name}`);
  return list;
}

type Attributes = {
  readonly [name: string]: unknown;
  readonly type?: unknown;
  readonly name?: unknown;
  readonly namespace?: unknown;
  readonly size?: unknown;
  readonly logicalType?: unknown;
  readonly scale?: unknown;
  readonly precision?: unknown;
};

function attributesOf(schema: unknown): Attributes {
  if (!isObject(schema)) throw new TypeError('an Avro schema is a name, a list or an object');
  return schema;
}

function isObject(value: unknown): value is Attributes {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
