import { isUtf8 } from 'node:buffer';
import { parseLossless, stringifyLossless } from '#change-events/index.ts';

/** Built-in types that Debezium does not know: it hands on the bytes of their text (include.unknown.datatypes), which JSON has in base64. */
const unknownTypes: ReadonlySet<string> = new Set([
  'box', 'circle', 'line', 'lseg', 'path', 'polygon', 'jsonpath', 'tsquery', 'pg_lsn', 'pg_snapshot', 'txid_snapshot', 'tid', 'cid', 'xid', 'xid8', 'aclitem',
  'regclass', 'regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoper', 'regoperator', 'regproc', 'regprocedure', 'regrole', 'regtype',
]); // prettier-ignore

/** Whether Debezium writes values of the type as the bytes of their text: those above, multiranges, composites, ranges of one's own, and extensions' types but for a few. */
export function comesAsBytes(name: string, kind: string | undefined): boolean {
  if (kind === 'c' || kind === 'm' || (kind === 'r' && name.includes('.'))) return true;
  if (kind !== 'b' || !name.includes('.')) return unknownTypes.has(name);
  return !/\.(?:citext|hstore|ltree|lquery|ltxtquery|geometry|geography)$/.test(name);
}

const base64 = /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$|^(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)$/;
// oxlint-disable-next-line no-control-regex -- what no type's text has
const unprintable = /[\u0000-\u001f\u007f]/;

/** What a value of these types looks like as it is, and never in base64: numbers, positions of the log, names without an upper-case letter, which are not quoted. */
const ownForm = /^(?:\d+|[\dA-F]{1,8}\/[\dA-F]{1,8}|[a-z\d_]+)$/;

/** The text of a value that comes as it is (from the poller) or as the base64 of its bytes (from Debezium). */
export function textOfBytes(value: string): string {
  if (ownForm.test(value) || !base64.test(value)) return value;
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64') !== value || !isUtf8(bytes)) return value;
  const text = bytes.toString();
  return unprintable.test(text) ? value : text;
}

/** hstore's text: `"a"=>"1"` as it is (from the poller) or from an object in JSON (from Debezium), as which no text of an hstore begins. */
export function hstoreText(value: string): string {
  if (!value.startsWith('{')) return value;
  const object = parseLossless(value);
  if (typeof object !== 'object' || object === null || Array.isArray(object)) throw new TypeError('expected an hstore');
  return Object.entries(object)
    .map(([key, item]) => `${quoted(key)}=>${item === null ? 'NULL' : quoted(typeof item === 'string' ? item : stringifyLossless(item))}`)
    .join(', ');
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}
