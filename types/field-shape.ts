import type { EventField, PlainType } from '#cdc-poller/fields.ts';
import { declaredText, plain, type TypeShape } from '#change-events/types/index.ts';
import type { TypedMember } from './table-types.ts';

/** What the log may do to a column beyond what its type says. */
export type Doubt = { readonly absent: boolean; readonly nullInstead: boolean; readonly uncertain: boolean };

const noDoubt: Doubt = { absent: false, nullInstead: false, uncertain: false };

/** A column as TypeScript has it. Pure. */
export function memberOf(field: EventField, doubt: Doubt = noDoubt): TypedMember {
  const { name, nullable } = field;
  const { absent, nullInstead, uncertain } = doubt;
  const mayBeNull = nullable || absent || nullInstead;
  const value = uncertain ? plain.json : shapeOf(field);
  return {
    name,
    type: mayBeNull && value !== plain.json ? { kind: 'either', of: [value, plain.null] } : value,
    optional: absent || uncertain,
    comment: commentOf(field, doubt),
    isSure: !absent && !nullInstead && !uncertain && field.type !== 'structure',
  };
}

function shapeOf({ type, labels }: EventField): TypeShape {
  if (type === 'structure') return plain.json;
  if (type.base !== 'array') return plainShape(type, labels);
  return listOf(plainShape(type.items, labels), type.depth);
}

/** Items may be null, whatever the column says; and an array of several dimensions may have items at every depth. */
function listOf(items: TypeShape, depth: number): TypeShape {
  const deeper = depth > 1 ? [listOf(items, depth - 1)] : [];
  return { kind: 'list', items: { kind: 'either', of: [items, ...deeper, plain.null] } };
}

function plainShape({ base }: PlainType, labels: readonly string[] | null): TypeShape {
  switch (base) {
    case 'int':
      return plain.number;
    case 'long':
      return plain.integer;
    case 'float':
    case 'double':
      return plain.float;
    case 'boolean':
      return plain.boolean;
    case 'string':
      return labels === null ? plain.string : { kind: 'literals', values: labels };
    case 'bytes':
      return plain.string;
  }
}

function commentOf({ type, declared, masked }: EventField, { absent, nullInstead, uncertain }: Doubt): string | null {
  const declaredAs = declared === undefined ? null : declaredText(declared);
  const said = [declaredAs, masked ? 'masked' : formOf(type)].filter((part) => part !== null).join(': ');
  const doubts = [
    ...(absent ? ['in events of a snapshot only'] : []),
    ...(nullInstead ? ['null in place of some values'] : []),
    ...(uncertain ? ['Debezium may write another value: cdc doctor'] : []),
  ];
  const all = [said, ...doubts].filter((part) => part !== '').join('; ');
  return all === '' ? null : all;
}

/** What a text is of. */
function formOf(type: EventField['type']): string | null {
  if (type === 'structure') return 'as Debezium writes it';
  const of = type.base === 'array' ? type.items : type;
  if (of.base === 'bytes') return 'base64';
  return of.meaning?.replace(/^.*\./, '') ?? null;
}
