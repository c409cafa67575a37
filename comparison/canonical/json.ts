/** A JSON value whose numbers are still the text they were written as. */
export type JsonTree = { readonly number: string } | string | boolean | null | readonly JsonTree[] | ReadonlyMap<string, JsonTree>;

/** @throws SyntaxError when the text is not JSON */
export function parseJsonTree(text: string): JsonTree {
  const source = JSON.parse(text, (_name, value, context) =>
    typeof value === 'number' ? { '\u0000number': context.source ?? String(value) } : value,
  );
  return toTree(source);
}

function toTree(value: unknown): JsonTree {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map(toTree);
  if (typeof value !== 'object') throw new TypeError(`not a JSON value: ${typeof value}`);
  const members = Object.entries(value);
  const [first] = members;
  if (members.length === 1 && first !== undefined && first[0] === '\u0000number') return { number: String(first[1]) };
  return new Map(members.map(([name, member]) => [name, toTree(member)]));
}

/** One text for equal JSON values: members sorted by name, no spaces, numbers written out as jsonb does (1e3 is 1000, 1.0 stays 1.0). */
export function canonicalJson(text: string): string {
  try {
    return print(parseJsonTree(text));
  } catch {
    return text;
  }
}

function print(tree: JsonTree): string {
  if (tree === null || typeof tree === 'boolean') return String(tree);
  if (typeof tree === 'string') return JSON.stringify(tree);
  if (isMap(tree)) {
    const members = [...tree].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${print(member)}`).join(',')}}`;
  }
  if (isList(tree)) return `[${tree.map(print).join(',')}]`;
  return plainNumber(tree.number);
}

function isMap(tree: JsonTree): tree is ReadonlyMap<string, JsonTree> {
  return tree instanceof Map;
}

export function isList(tree: JsonTree): tree is readonly JsonTree[] {
  return Array.isArray(tree);
}

/** Decimal digits without an exponent, as Postgres's numeric prints: 1.50e1 is 15.0, 5e-2 is 0.05. */
export function plainNumber(text: string): string {
  const match = /^(?<sign>-?)(?<whole>\d+)(?:\.(?<fraction>\d+))?[eE](?<exponent>[+-]?\d+)$/.exec(text)?.groups;
  if (match === undefined) return text;
  const { sign = '', whole = '', fraction = '', exponent = '0' } = match;
  const shift = Number(exponent);
  const digits = whole + fraction;
  const point = whole.length + shift;
  const padded = point <= 0 ? '0'.repeat(1 - point) + digits : digits.padEnd(point, '0');
  const at = Math.max(point, 1);
  const integer = padded.slice(0, at).replace(/^0+(?=\d)/, '');
  const rest = padded.slice(at);
  return `${sign}${integer}${rest === '' ? '' : `.${rest}`}`;
}
