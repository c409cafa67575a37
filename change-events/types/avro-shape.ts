import { conversionOf } from '../framed/avro/meaning.ts';
import { parseAvroSchema, type AvroField, type AvroType, type Meaning } from '../framed/avro/schema.ts';
import type { RegisteredSchema } from '../registry/registry.ts';
import { plain, type Member, type TypeShape } from './shape.ts';

/**
 * What the decoder makes of values that an Avro schema wrote.
 *
 * @throws TypeError or SyntaxError when it is no Avro
 */
export function avroShape({ schema, references }: RegisteredSchema): TypeShape {
  const made = new Map<AvroType, TypeShape>();
  const shapeOf = (type: AvroType): TypeShape => {
    const known = made.get(type);
    if (known !== undefined) return known;
    if (type.kind === 'record' && conversionOf(type) === null) {
      const members: Member[] = [];
      const shape: TypeShape = { kind: 'object', members };
      // Known before its fields are looked at: they may contain it.
      made.set(type, shape);
      for (const field of type.fields) members.push(memberOf(field, shapeOf));
      return shape;
    }
    return plainShape(type, shapeOf);
  };
  return shapeOf(
    parseAvroSchema(
      schema,
      references.map((reference) => reference.schema),
    ),
  );
}

function memberOf({ name, type }: AvroField, shapeOf: (type: AvroType) => TypeShape): Member {
  return { name, type: shapeOf(type), optional: false, comment: commentOf(type) };
}

function plainShape(type: AvroType, shapeOf: (type: AvroType) => TypeShape): TypeShape {
  // Times, dates and decimals become text.
  if ('meaning' in type && conversionOf(type) !== null) return plain.string;
  switch (type.kind) {
    case 'union':
      return { kind: 'either', of: type.branches.map(shapeOf) };
    case 'array':
      return { kind: 'list', items: shapeOf(type.items) };
    case 'map':
      return { kind: 'map', items: shapeOf(type.items) };
    case 'enum':
      return { kind: 'literals', values: type.symbols };
    case 'string': {
      const allowed = allowedOf(type.meaning);
      return allowed === null ? plain.string : { kind: 'literals', values: allowed };
    }
    case 'long':
      return plain.integer;
    case 'int':
      return plain.number;
    case 'float':
    case 'double':
      return plain.float;
    case 'boolean':
    case 'null':
      return plain[type.kind];
    case 'bytes':
    case 'fixed':
    case 'record':
      return plain.string;
  }
}

/** The labels of a database's enum. MariaDB's connector and poller put a backslash before a comma of a label; in Postgres' labels a comma is not marked. */
export function allowedOf({ connectName, parameters }: Pick<Meaning, 'connectName' | 'parameters'>): readonly string[] | null {
  const allowed = connectName === 'io.debezium.data.Enum' ? parameters?.['allowed'] : undefined;
  return allowed === undefined ? null : allowed.split(/(?<!\\),/).map((label) => label.replaceAll(String.raw`\,`, ','));
}

/** Declared lengths that say something; of other types they are what a driver shows. */
const measured: ReadonlySet<string> = new Set(['NUMERIC', 'DECIMAL', 'VARCHAR', 'CHAR', 'BPCHAR', 'BIT', 'VARBIT']);

function commentOf(type: AvroType): string | null {
  if (type.kind === 'union') return type.branches.map(commentOf).find((comment) => comment !== null) ?? null;
  if (type.kind === 'array') return commentOf(type.items);
  if (!('meaning' in type)) return null;
  const { meaning } = type;
  const said = [declaredAs(meaning), meantAs(type, meaning)].filter((part) => part !== null);
  return said.length === 0 ? null : said.join(': ');
}

/** The column's type in the database, where `column.propagate.source.type` has it. */
function declaredAs({ parameters }: Meaning): string | null {
  const of = (what: string): string | undefined => parameters?.[`__debezium.source.column.${what}`];
  const type = of('type');
  return type === undefined ? null : declaredText({ type, length: of('length'), scale: of('scale') });
}

/** `NUMERIC(12,2)`: the type of a column as it was declared, with the lengths that say something. */
export function declaredText({
  type,
  length,
  scale,
}: {
  readonly type: string;
  readonly length?: string | undefined;
  readonly scale?: string | undefined;
}): string {
  if (length === undefined || !measured.has(type) || length === '0') return type;
  return scale === undefined || scale === '0' ? `${type}(${length})` : `${type}(${length},${scale})`;
}

function meantAs(type: AvroType, { connectName, logicalType, precision, scale }: Meaning): string | null {
  if (logicalType === 'decimal') return `decimal${precision === undefined ? '' : `(${precision},${scale})`}, every digit`;
  const { kind } = type;
  if ((kind === 'bytes' || kind === 'fixed') && conversionOf(type) === null) return 'base64';
  if (kind === 'record' && conversionOf(type) === null) return null;
  return connectName?.replace(/^.*\./, '') ?? logicalType;
}
