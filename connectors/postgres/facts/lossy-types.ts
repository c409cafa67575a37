import type { ColumnFacts } from './published-facts.ts';

/**
 * What Debezium 3.6.1 does to values of a column's type, as docs/change-event.md lists it and test/support/debezium-losses.ts keeps it. `lost`: values that any application
 * may write become another value, NULL or junk. `edge`: only values at the end of what the type can hold do. `stops`: a value ends the connector.
 */
export type Loss = 'lost' | 'edge' | 'stops';

/** Element types whose arrays of one dimension come as they are. Of every other type something is lost: all of it, some values, or those beside a NULL. */
const carriedInArrays: ReadonlySet<string> = new Set([
  'int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'bool', 'text', 'varchar', 'bpchar', 'char', 'bytea', 'uuid', 'json', 'jsonb',
  'inet', 'cidr', 'macaddr', 'macaddr8', 'int4range', 'int8range', 'numrange', 'daterange', 'tsrange', 'tstzrange',
]); // prettier-ignore

/** Types of extensions that come as their text, in arrays too. */
const textExtensions: ReadonlySet<string> = new Set(['citext.citext', 'hstore.hstore', 'ltree.ltree', 'isn.isbn']);

const lostScalars: ReadonlySet<string> = new Set(['int2vector', 'oidvector']);
/** Dates before Christ in a snapshot; the end of the day; infinite intervals. */
const edges: ReadonlySet<string> = new Set(['date', 'time', 'timetz', 'interval']);

/**
 * A type of your own that has the name of a built-in one is read as that one while streaming. By these names nothing is lost, by those the connector stops; of the
 * others nobody has seen it.
 */
const harmlessNames: ReadonlySet<string> = new Set([
  'text', 'varchar', 'bpchar', 'name', 'uuid', 'json', 'jsonb', 'xml', 'inet', 'macaddr', 'bit', 'varbit', 'time', 'int4range', 'tsvector', 'refcursor',
]); // prettier-ignore
const stoppingNames: ReadonlySet<string> = new Set([
  'int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'numeric', 'money', 'date', 'timestamp', 'timestamptz', 'timetz', 'bytea', 'point', 'box',
]); // prettier-ignore

/** Undefined: every value comes. Pure. */
export function lossOf({ isArray, dimensions, element }: ColumnFacts): Loss | undefined {
  const { name, kind, builtIn, calledAsBuiltIn, extension } = element;
  if (isArray) {
    if (dimensions > 1) return 'lost';
    if (builtIn) return carriedInArrays.has(name) ? undefined : 'lost';
    return extension !== null && textExtensions.has(`${extension}.${name}`) ? undefined : 'lost';
  }
  if (builtIn) {
    if (name === 'refcursor') return 'stops';
    if (lostScalars.has(name)) return 'lost';
    return edges.has(name) ? 'edge' : undefined;
  }
  if (!calledAsBuiltIn || (kind !== 'c' && harmlessNames.has(name))) return undefined;
  return kind !== 'c' && stoppingNames.has(name) ? 'stops' : 'lost';
}
