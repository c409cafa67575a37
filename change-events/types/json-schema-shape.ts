import { parseLossless, type JsonValue } from '../lossless-json.ts';
import type { RegisteredSchema } from '../registry/registry.ts';
import { allowedOf } from './avro-shape.ts';
import { plain, type Member, type TypeShape } from './shape.ts';

type Node = { readonly [name: string]: JsonValue };

/**
 * What the decoder makes of values that a JSON Schema describes. What a type cannot say (patterns, bounds, conditions, schemas elsewhere) is left out:
 * such a type is wider than its schema, never narrower.
 *
 * @throws SyntaxError when it is no JSON
 */
export function jsonSchemaShape({ schema }: RegisteredSchema): TypeShape {
  const root = parseLossless(schema);
  const made = new Map<Node, TypeShape>();
  /** What is being looked at: a schema may contain itself. */
  const open = new Set<Node>();
  const shapeOf = (node: JsonValue | undefined): TypeShape => {
    if (!isNode(node)) return plain.json;
    if (open.has(node)) {
      const object = made.get(node);
      return object === undefined ? plain.json : typesOf(node).includes('null') ? { kind: 'either', of: [object, plain.null] } : object;
    }
    open.add(node);
    const shape = look(node);
    open.delete(node);
    return shape;
  };
  const look = (node: Node): TypeShape => {
    const { $ref: reference, const: constant, enum: values } = node;
    if (typeof reference === 'string') return shapeOf(target(root, reference));
    if (constant !== undefined) return literals([constant]);
    if (isList(values)) return literals(values);
    const parts: TypeShape[] = [];
    for (const choices of [node['oneOf'], node['anyOf']]) if (isList(choices)) parts.push(either(choices.map(shapeOf)));
    if (isList(node['allOf'])) parts.push(...node['allOf'].map(shapeOf));
    const types = isFloat(node) ? typesOf(node).filter((type) => type !== 'string') : typesOf(node);
    if (types.length > 0) parts.push(either(types.map((type) => ofType(type, node))));
    const [only = plain.json, ...more] = parts;
    return more.length === 0 ? only : { kind: 'both', of: parts };
  };
  const ofType = (type: string, node: Node): TypeShape => {
    switch (type) {
      case 'string':
        return labelsOf(node) ?? plain.string;
      case 'boolean':
      case 'null':
        return plain[type];
      case 'integer':
        return connectType(node) === 'int64' || connectType(node) === null ? plain.integer : plain.number;
      case 'number':
        if (isFloat(node)) return plain.float;
        // Without a point or exponent, digits beyond 2^53 are kept.
        return connectType(node) === null ? plain.integer : plain.number;
      case 'array':
        return { kind: 'list', items: shapeOf(node['items']) };
      case 'object':
        return objectOf(node);
      default:
        return plain.json;
    }
  };
  const objectOf = (node: Node): TypeShape => {
    const { properties, additionalProperties } = node;
    const known = made.get(node);
    if (known !== undefined) return known;
    if (!isNode(properties)) return { kind: 'map', items: additionalProperties === undefined ? plain.json : shapeOf(additionalProperties) };
    const members: Member[] = [];
    const shape: TypeShape = { kind: 'object', members };
    made.set(node, shape);
    const required = isList(node['required']) ? node['required'] : [];
    for (const [name, property] of Object.entries(properties)) {
      members.push({ name, type: shapeOf(property), optional: !required.includes(name), comment: commentOf(property) });
    }
    return shape;
  };
  return shapeOf(root);
}

function either(choices: readonly TypeShape[]): TypeShape {
  const [only, ...others] = choices;
  return only !== undefined && others.length === 0 ? only : { kind: 'either', of: choices };
}

function typesOf({ type, properties }: Node): readonly string[] {
  if (typeof type === 'string') return [type];
  if (isList(type)) return type.filter((each) => typeof each === 'string');
  return isNode(properties) ? ['object'] : [];
}

function literals(values: readonly JsonValue[]): TypeShape {
  const known = values.filter((value) => typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean');
  const rest: TypeShape[] = values.includes(null) ? [plain.null] : [];
  const other = values.some((value) => typeof value === 'bigint' || (typeof value === 'object' && value !== null));
  if (other) return plain.json;
  return { kind: 'either', of: [...(known.length === 0 ? [] : [{ kind: 'literals', values: known } as const]), ...rest] };
}

/** Connect's name of the type, which JSON Schema registries of the field carry. */
function connectType(node: Node): string | null {
  const type = node['connect.type'];
  return typeof type === 'string' ? type : null;
}

/** A number, or the text of NaN and the infinities, which JSON has not. */
function isFloat(node: Node): boolean {
  const types = typesOf(node);
  return types.includes('number') && types.includes('string') && /^float(?:32|64)$/.test(connectType(node) ?? '');
}

/** The labels of a database's enum, which Connect puts beside the type. */
function labelsOf(node: Node): TypeShape | null {
  const { title, 'connect.parameters': parameters } = node;
  const allowed = isNode(parameters) ? parameters['allowed'] : undefined;
  if (typeof title !== 'string' || typeof allowed !== 'string') return null;
  const values = allowedOf({ connectName: title, parameters: { allowed } });
  return values === null ? null : { kind: 'literals', values };
}

function commentOf(node: JsonValue): string | null {
  if (!isNode(node)) return null;
  const { title, description, contentEncoding } = node;
  if (typeof contentEncoding === 'string') return contentEncoding;
  const said = typeof description === 'string' ? description : typeof title === 'string' ? title.replace(/^io\.debezium\..*\./, '') : null;
  return said?.replaceAll(/\s+/g, ' ') ?? null;
}

/** Of a reference inside the schema. */
function target(root: JsonValue, reference: string): JsonValue | undefined {
  if (!reference.startsWith('#')) return undefined;
  let at: JsonValue | undefined = root;
  for (const step of reference
    .slice(1)
    .split('/')
    .filter((part) => part !== '')) {
    const name = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
    at = isNode(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  return at;
}

function isNode(value: JsonValue | undefined): value is Node {
  return typeof value === 'object' && value !== null && !isList(value);
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}
