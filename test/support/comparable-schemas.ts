import type { JsonValue } from '#change-events/index.ts';

/**
 * The names of the topics apart, and defaults: Debezium evaluates some (a serial's is 0, now() is 1970), cuts others short ('it''s' is "it") and knows none of
 * domains and bytes; the poller has those that are plain constants.
 */
export function comparable(schema: JsonValue, namespace: string): JsonValue {
  if (schema === null || typeof schema !== 'object') return schema === namespace ? 'N' : schema;
  if (isList(schema)) return schema.map((item) => comparable(item, namespace));
  const members = Object.entries(schema)
    .filter(([name]) => name !== 'default' && name !== 'connect.default')
    .map(([name, value]): [string, JsonValue] => {
      const text = typeof value === 'string' && name.endsWith('name') ? value.replace(namespace, 'N') : value;
      return [name, comparable(text, namespace)];
    });
  const [only] = members;
  // A type with nothing beside it may be known by its name.
  if (members.length === 1 && only?.[0] === 'type') return only[1];
  return Object.fromEntries(members.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** A member of an object or list, undefined where there is none. */
export function member(value: JsonValue | undefined, name: string | number): JsonValue | undefined {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

/** The record of the row in an envelope's schema. */
export function rowOf(envelope: JsonValue): JsonValue {
  return member(member(member(member(envelope, 'fields'), 0), 'type'), 1) ?? null;
}
