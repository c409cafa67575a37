import * as fc from 'fast-check';
import { arrayOf, valuesByName } from './random-values.ts';

/**
 * How values of a type look from Debezium beside the poller's. `same`: byte for byte. `number`: the same number, whose last digits depend on the Java. `text`: another
 * text of the same value. `lost`: no value, or another one. docs/change-event.md lists what is not `same`.
 */
export type Likeness = 'same' | 'number' | 'text' | 'lost';

/** What Debezium writes as the bytes of a text, or of which it makes an object. */
const byText: ReadonlySet<string> = new Set([
  'box', 'circle', 'line', 'lseg', 'path', 'polygon', 'point', 'jsonpath', 'tsquery', 'pg_lsn', 'pg_snapshot', 'txid_snapshot', 'tid', 'cid', 'xid', 'xid8', 'aclitem',
  'regclass', 'regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoperator', 'regprocedure', 'regrole', 'regtype', 'app.pair',
  'int4multirange', 'int8multirange', 'nummultirange', 'datemultirange', 'tsmultirange', 'tstzmultirange',
]); // prettier-ignore

/** Types of whose arrays nothing comes. */
const noArrays: ReadonlySet<string> = new Set(['name', 'point', 'xml', 'varbit', 'bit', 'interval', 'money', 'int2vector', 'oidvector']);

const infinite = /infinity/i;
/** Days that the Gregorian calendar left out when it began: Java's older dates count on from them. */
const leftOut = /^1582-10-(?:0[5-9]|1[0-4])$/;

/** `text` is Postgres's own, of the whole value. */
export function likeness(name: string, isArray: boolean, text: string, phase: 'loaded' | 'streamed'): Likeness {
  if (isArray) return likenessOfArray(name, text);
  if (byText.has(name)) return 'text';
  if (name === 'float4' || name === 'float8') return 'number';
  if (name === 'int2vector' || name === 'oidvector') return 'lost';
  // A type of a user's own that is called as a built-in one.
  if (name === 'app."interval"') return phase === 'streamed' ? 'lost' : 'same';
  if (name === 'date') return infinite.test(text) || (phase === 'loaded' && (text.endsWith(' BC') || leftOut.test(text))) ? 'lost' : 'same';
  if (name === 'timestamp') return infinite.test(text) ? 'text' : 'same';
  if (name === 'interval') return infinite.test(text) ? 'lost' : text.includes('.') ? 'text' : 'same';
  if (name === 'time') return text === '24:00:00' ? 'lost' : 'same';
  if (name === 'timetz') return text.startsWith('24:00:00') ? 'lost' : 'same';
  return 'same';
}

function likenessOfArray(name: string, text: string): Likeness {
  if (noArrays.has(name)) return 'lost';
  if (text === '{}') return 'same';
  if (/^(?:\[.*?\]=)?\{\{/.test(text)) return 'lost';
  const hasNull = /[{,;]NULL[,;}]/.test(text);
  if (byText.has(name) || name === 'tsvector') return hasNull ? 'lost' : 'text';
  if (name.startsWith('app.')) return hasNull || name !== 'app.mood' ? 'lost' : 'same';
  if (name === 'float4' || name === 'float8') return 'number';
  if (name === 'numeric') return /NaN|Infinity/.test(text) ? 'lost' : 'same';
  if (name === 'date' || name === 'timestamp' || name === 'timestamptz')
    return / BC/.test(text) || (name === 'timestamptz' ? text.includes('-infinity') : infinite.test(text)) ? 'lost' : oldStamp(name, text);
  if (name === 'time') return /\.\d{4}|24:00:00/.test(text) ? 'lost' : 'same';
  if (name === 'timetz') return /\.\d|24:00:00/.test(text) ? 'lost' : 'same';
  return 'same';
}

/** In arrays, times before the Gregorian calendar are counted by the Julian one; of the others, the days that it left out become ten days later. */
function oldStamp(name: string, text: string): Likeness {
  if (name !== 'timestamp') return text.includes('1582-10-') ? 'lost' : 'same';
  return /(?:^|[{,"])(?:0\d\d\d|1[0-4]\d\d|15[0-7]\d|158[0-2])-/.test(text) ? 'lost' : 'same';
}

/** Whether any of many random values of a built-in type, or of an array of one dimension, is lost. */
export function isLossy(name: string, isArray: boolean): boolean {
  const value = valuesByName[name];
  if (value === undefined) throw new RangeError(`no values of ${name} are known`);
  const texts = fc.sample(isArray ? arrayOf(value, name === 'box' ? ';' : ',') : value, { seed: 7, numRuns: 1500 });
  return texts.some((text) => likeness(name, isArray, text, 'loaded') === 'lost' || likeness(name, isArray, text, 'streamed') === 'lost');
}
