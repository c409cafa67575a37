import * as fc from 'fast-check';

/** A column's type in SQL, and the text of a random value of it. */
export type RandomType = { readonly type: string; readonly value: fc.Arbitrary<string> };

const two = (value: number): string => String(value).padStart(2, '0');
const any = (...texts: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...texts);
const integer = (min: bigint, max: bigint): fc.Arbitrary<string> => fc.bigInt({ min, max }).map(String);
/** What quoting, delimiters and array syntax could trip over. */
const text = (maxLength: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ unit: 'grapheme', maxLength }),
    any('', ' ', 'NULL', 'null', '{}', '{a,b}', 'a;b', '"', '\\', `a'b`, '😀', 'é', '\t', '\n', '[0:1]={1}', ',', 'x '),
  );
const word = fc.string({ unit: fc.constantFrom(...'abcdefgh'.split('')), minLength: 1, maxLength: 6 });

const year = fc.oneof(fc.integer({ min: 1, max: 9999 }), any('0001', '1582', '1970', '2026').map(Number));
const day = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }));
const date = (past: string, later: number): fc.Arbitrary<string> =>
  fc
    .tuple(fc.oneof({ weight: 6, arbitrary: year }, fc.integer({ min: 10_000, max: later })), day, fc.boolean(), fc.nat(3))
    // In 1582, around the days that the Gregorian calendar left out.
    .map(([y, [month, ofMonth], ...chances]) => [y, y === 1582 ? 10 : month, ofMonth, ...chances] as const)
    .map(([y, month, ofMonth, isPast, chance]) =>
      isPast && chance === 0
        ? `${String((y % 4000) + 1).padStart(4, '0')}-${two(month)}-${two(ofMonth)}${past}`
        : `${String(y).padStart(4, '0')}-${two(month)}-${two(ofMonth)}`,
    );
const clock = fc
  .tuple(fc.nat(23), fc.nat(59), fc.nat(59), fc.oneof(fc.nat(999_999), any('0', '500000', '123000').map(Number)))
  .map(([h, m, s, micros]) => `${two(h)}:${two(m)}:${two(s)}${micros === 0 ? '' : `.${String(micros).padStart(6, '0')}`}`);
const stamp = (zone: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 9, arbitrary: fc.tuple(date(' BC', 290_000), clock).map(([d, t]) => (d.endsWith(' BC') ? `${d.slice(0, -3)} ${t}${zone} BC` : `${d} ${t}${zone}`)) },
    any('infinity', '-infinity'),
  ); // prettier-ignore
const offset = fc.tuple(any('+', '-'), fc.nat(14), any('00', '30', '45')).map(([sign, h, m]) => `${sign}${two(h)}:${m}`);
const span = fc
  .tuple(fc.integer({ min: -5000, max: 5000 }), fc.integer({ min: -5000, max: 5000 }), fc.integer({ min: -3_000_000_000, max: 3_000_000_000 }))
  .map(([months, days, micros]) => `${months} mons ${days} days ${micros} microseconds`); // prettier-ignore

const double = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer({ min: -1000, max: 1000 })).map(String);
const float = fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => String(value)), fc.integer({ min: -1000, max: 1000 }).map(String)); // prettier-ignore
const special = (finite: fc.Arbitrary<string>): fc.Arbitrary<string> => fc.oneof({ weight: 6, arbitrary: finite }, any('NaN', 'Infinity', '-Infinity', '-0', '0')); // prettier-ignore
const digits = (whole: number, scale: number): fc.Arbitrary<string> =>
  fc.tuple(fc.bigInt({ min: -(10n ** BigInt(whole)) + 1n, max: 10n ** BigInt(whole) - 1n }), fc.bigInt({ min: 0n, max: 10n ** BigInt(scale) - 1n }), fc.nat(scale))
    .map(([units, fraction, length]) => `${units}${length === 0 ? '' : `.${String(fraction).padStart(scale, '0').slice(0, length)}`}`); // prettier-ignore
const coordinate = fc.integer({ min: -9999, max: 9999 }).map((value) => String(value / 100));
const point = fc.tuple(coordinate, coordinate).map(([x, y]) => `(${x},${y})`);
const bits = (length: number): fc.Arbitrary<string> => fc.string({ unit: fc.constantFrom('0', '1'), minLength: length, maxLength: length });
const hex = (size: number): fc.Arbitrary<string> => fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => Buffer.from(bytes).toString('hex')); // prettier-ignore
const range = (bound: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 5, arbitrary: fc.tuple(any('[', '('), bound, any(']', ')')).map(([open, from, close]) => (open === '[' && close === ']' ? `["${from}","${from}"]` : `${open}"${from}",${close}`)) },
    any('empty', '(,)'),
  ); // prettier-ignore
const multirange = (one: fc.Arbitrary<string>): fc.Arbitrary<string> => fc.array(one, { maxLength: 2 }).map((all) => `{${all.join(',')}}`);
const snapshot = fc
  .tuple(fc.integer({ min: 10, max: 99 }), fc.integer({ min: 100, max: 999 }))
  .map(([from, to]) => `${from}:${to}:${from}`);
const json = fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(value).replaceAll(String.raw`\u0000`, ''));
const plainDate = fc.tuple(fc.integer({ min: 1000, max: 9999 }), day).map(([y, [month, ofMonth]]) => `${y}-${two(month)}-${two(ofMonth)}`);
const int4 = integer(-(2n ** 31n), 2n ** 31n - 1n);
const smaller = integer(-1_000_000n, 1_000_000n);
const uint4 = integer(0n, 2n ** 32n - 1n);

/** Values by the names of pg_catalog's types: every one that the poller knows. */
export const valuesByName: Readonly<Record<string, fc.Arbitrary<string>>> = {
  int2: integer(-32_768n, 32_767n),
  int4,
  int8: integer(-(2n ** 63n), 2n ** 63n - 1n),
  oid: uint4,
  xid: uint4,
  cid: uint4,
  xid8: integer(0n, 2n ** 64n - 1n),
  tid: fc.tuple(fc.nat(100_000), fc.nat(1000)).map(([block, at]) => `(${block},${at})`),
  numeric: special(digits(25, 12)).map((value) => (value === '-0' ? '0.000' : value)),
  float4: special(float),
  float8: special(double),
  money: fc.tuple(any('', '-'), fc.nat(99_999_999), fc.nat(99)).map(([sign, units, cents]) => `${sign}${units}.${two(cents)}`),
  bool: any('t', 'f'),
  text: text(12),
  varchar: text(12),
  bpchar: text(12),
  name: text(5),
  char: any('a', 'Z', '7', ',', ' ', '"'),
  bytea: fc.nat(20).chain(hex).map((value) => `\\x${value}`), // prettier-ignore
  bit: bits(9),
  varbit: fc.nat(12).chain(bits),
  uuid: fc.uuid(),
  json,
  jsonb: json,
  jsonpath: any('$', '$."a"[*]', 'strict $."b"', '1', 'true', '$."a" + 1'),
  xml: any('<a>x</a>', '<b/>', 'text', '<a b="c">ä, "q"</a>'),
  tsvector: fc.array(word, { maxLength: 3 }).map((words) => words.join(' ')),
  tsquery: fc.array(word, { maxLength: 3 }).map((words) => words.join(' & ')),
  date: fc.oneof({ weight: 9, arbitrary: date(' BC', 5_000_000) }, any('infinity', '-infinity', '0001-12-31 BC', '4713-01-01 BC')),
  time: fc.oneof({ weight: 6, arbitrary: clock }, any('24:00:00', '00:00:00')),
  timetz: fc.oneof({ weight: 6, arbitrary: fc.tuple(clock, offset).map(([at, zone]) => `${at}${zone}`) }, any('24:00:00+00')),
  timestamp: stamp(''),
  timestamptz: stamp('+00'),
  interval: fc.oneof({ weight: 6, arbitrary: span }, any('infinity', '-infinity', '24:00:00', '1 day', '-00:00:00.000001')),
  inet: fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.tuple(fc.ipV4(), fc.nat(32)).map(([address, mask]) => `${address}/${mask}`),
  ),
  cidr: fc.oneof(fc.ipV4(), any('10.0.0.0/8', '::/0', '2001:db8::/32')),
  macaddr: hex(6),
  macaddr8: hex(8),
  point,
  line: any('{1,2,3}', '{0,1,-2.5}'),
  lseg: fc.tuple(point, point).map(([a, b]) => `[${a},${b}]`),
  box: fc.tuple(point, point).map(([a, b]) => `${a},${b}`),
  path: fc
    .tuple(any('()', '[]'), fc.array(point, { minLength: 1, maxLength: 3 }))
    .map(([ends, all]) => `${ends[0]}${all.join(',')}${ends[1]}`),
  polygon: fc.array(point, { minLength: 1, maxLength: 3 }).map((all) => `(${all.join(',')})`),
  circle: fc.tuple(point, fc.nat(99)).map(([center, radius]) => `<${center},${radius}>`),
  pg_lsn: fc.tuple(fc.nat(2 ** 31 - 1), fc.nat(2 ** 31 - 1)).map(([a, b]) => `${a.toString(16)}/${b.toString(16)}`),
  pg_snapshot: snapshot,
  txid_snapshot: snapshot,
  refcursor: word,
  aclitem: any('postgres=r/postgres', '=w/postgres'),
  int2vector: fc.array(fc.nat(999), { maxLength: 3 }).map((all) => all.join(' ')),
  oidvector: fc.array(fc.nat(999), { maxLength: 3 }).map((all) => all.join(' ')),
  regclass: any('pg_class', 'pg_type'),
  regcollation: any('"C"', '"POSIX"'),
  regconfig: any('simple', 'english'),
  regdictionary: any('simple'),
  regnamespace: any('pg_catalog', 'public'),
  regoperator: any('+(integer,integer)'),
  regprocedure: any('now()'),
  regrole: any('postgres'),
  regtype: any('integer', 'text[]'),
  int4range: range(smaller),
  int8range: range(smaller),
  numrange: range(digits(6, 3)),
  daterange: range(plainDate),
  tsrange: range(fc.tuple(plainDate, clock).map(([d, t]) => `${d} ${t}`)),
  tstzrange: range(fc.tuple(plainDate, clock).map(([d, t]) => `${d} ${t}+00`)),
  int4multirange: multirange(range(smaller)),
  int8multirange: multirange(range(smaller)),
  nummultirange: multirange(range(digits(6, 3))),
  datemultirange: multirange(range(plainDate)),
  tsmultirange: multirange(range(fc.tuple(plainDate, clock).map(([d, t]) => `${d} ${t}`))),
  tstzmultirange: multirange(range(fc.tuple(plainDate, clock).map(([d, t]) => `${d} ${t}+00`))),
};

/** The type's name in SQL: of bit a length that its values have. */
export function sqlName(name: string): string {
  return name === 'bit' ? 'bit(9)' : `pg_catalog."${name}"`;
}

/** Texts of arrays: of one dimension, or also of two where `deep`; with NULLs, empty, beginning elsewhere than at 1. */
export function arrayOf(element: fc.Arbitrary<string>, delimiter = ',', deep = false): fc.Arbitrary<string> {
  const item = fc.oneof({ weight: 5, arbitrary: element.map(quoted) }, any('NULL'));
  const list = (length: number): fc.Arbitrary<string> =>
    fc.array(item, { minLength: length, maxLength: length }).map((all) => `{${all.join(delimiter)}}`);
  const flat = fc.integer({ min: 1, max: 3 }).chain(list);
  const moved = fc.integer({ min: 1, max: 2 }).chain((length) => list(length).map((one) => `[5:${4 + length}]=${one}`));
  const nested = fc
    .integer({ min: 1, max: 2 })
    .chain((length) => fc.tuple(list(length), list(length)).map(([a, b]) => `{${a}${delimiter}${b}}`));
  return fc.oneof({ weight: 5, arbitrary: flat }, any('{}'), moved, ...(deep ? [nested] : []));
}

function quoted(value: string): string {
  return `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}
