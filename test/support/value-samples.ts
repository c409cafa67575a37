/** A column type and values in SQL; the exceptions are the values where Debezium loses or contradicts itself, with the reason. */
export type TypeSamples = {
  readonly type: string;
  readonly values: readonly string[];
  readonly exceptions?: Readonly<Record<string, string>>;
};

const infinity = 'Debezium writes infinity as a far date of its own, and not the same one in snapshot and stream';

/** Every supported type with its edge values. docs/change-event.md lists the exceptions. */
export const typeSamples: readonly TypeSamples[] = [
  { type: 'smallint', values: ['-32768', '0', '32767'] },
  { type: 'integer', values: ['-2147483648', '0', '2147483647'] },
  { type: 'bigint', values: ['-9223372036854775808', '9007199254740993', '9223372036854775807'] },
  { type: 'numeric', values: ["'12345678901234567890.123456789'", "'-0.000000000000000000001'", "'NaN'", "'0'", "'1e30'", "'100'"] },
  { type: 'numeric(20,4)', values: ["'1.5'", "'-9999999999999999.9999'", "'0'"] },
  {
    type: 'real',
    values: [
      "'1.1'",
      "'NaN'",
      "'Infinity'",
      "'-Infinity'",
      "'1e10'",
      "'1e-5'",
      "'3.4028235e38'",
      "'0'",
      "'-0'",
      "'16777216'",
      "'0.001'",
      "'1234567.9'",
    ],
  },
  {
    type: 'double precision',
    values: [
      "'1.1'",
      "'NaN'",
      "'Infinity'",
      "'-Infinity'",
      "'1e10'",
      "'1e7'",
      "'9999999'",
      "'0.001'",
      "'0.00099'",
      "'-0'",
      "'1.7976931348623157e308'",
      "'100'",
      "'0.1'",
    ],
  },
  { type: 'boolean', values: ['true', 'false'] },
  {
    type: 'text',
    values: [
      "''",
      "'plain'",
      "E'quote \" back \\\\ slash / tab \\t newline \\n bell \\x07 del \\x7f unit \\x1f'",
      "'emoji 😀 é ü 漢字 \u2028'",
      "'null'",
    ],
  },
  { type: 'varchar(10)', values: ["'ab'", "'ä'"] },
  { type: 'char(5)', values: ["'ab'"] },
  { type: 'uuid', values: ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"] },
  {
    type: 'timestamptz',
    values: [
      "'2026-11-22 18:00:00.123456+03'",
      "'2026-11-22 15:00:00+00'",
      "'2026-11-22 15:00:00.5+00'",
      "'1969-12-31 23:59:59.999999+00'",
      "'0001-01-01 00:00:00+00'",
      "'infinity'",
      "'-infinity'",
    ],
  },
  {
    type: 'timestamp',
    values: ["'2026-11-23 00:00:00.123456'", "'2026-11-23 00:00:00'", "'1900-01-01 00:00:00.000001'", "'infinity'", "'-infinity'"],
    exceptions: { "'-infinity'": infinity, "'infinity'": infinity },
  },
  { type: 'timestamp(3)', values: ["'2026-11-23 00:00:00.123'", "'2026-11-23 00:00:00.12'"] },
  {
    type: 'date',
    values: ["'2026-02-28'", "'1582-10-15'", "'infinity'", "'-infinity'"],
    exceptions: { "'infinity'": infinity, "'-infinity'": infinity },
  },
  {
    type: 'time',
    values: ["'23:59:59.999999'", "'00:00:00'", "'12:30'", "'24:00:00'"],
    exceptions: { "'24:00:00'": 'Debezium writes the end of the day as its beginning' },
  },
  { type: 'timetz', values: ["'05:00:00.5+02'", "'23:00:00-05'", "'12:00:00+05:30'"] },
  {
    type: 'interval',
    values: [
      "'1 year 2 months 3 days 4 hours 5 minutes 6.789 seconds'",
      "'0'",
      "'-1 day'",
      "'1 mon -1 day'",
      "'90 minutes'",
      "'-1.5 seconds'",
      "'100 hours'",
    ],
  },
  { type: 'json', values: ['\'{"b": 1,  "a": [1.50, null]}\'', "'9007199254740993'"] },
  { type: 'jsonb', values: ['\'{"b": 1,  "a": [1.50, null]}\'', '\'"text"\''] },
  { type: 'bytea', values: [String.raw`'\x'`, String.raw`'\x00ff10'`] },
  { type: 'bit(5)', values: ["B'10101'", "B'00101'", "B'00000'"] },
  { type: 'bit(12)', values: ["B'000100000000'", "B'100000000001'"] },
  { type: 'bit(1)', values: ["B'1'", "B'0'"] },
  { type: 'varbit(12)', values: ["B'101010101010'", "B'1'", "B'000000000101'", "B'0'", "B''"] },
  { type: 'integer[]', values: ["'{1,NULL,3}'", "'{}'"] },
  { type: 'bigint[]', values: ["'{9223372036854775807}'"] },
  { type: 'text[]', values: [`'{"a,b","quote \\" x",NULL,"NULL",""}'`] },
  { type: 'numeric(10,2)[]', values: ["'{1.50,NULL}'"] },
  { type: 'boolean[]', values: ["'{t,f}'"] },
  { type: 'uuid[]', values: ["'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'"] },
  { type: 'timestamptz(3)', values: ["'2026-11-22 15:00:00.5+00'", "'2026-11-22 15:00:00+00'"] },
  { type: 'timestamptz(0)', values: ["'2026-11-22 15:00:00+00'"] },
  { type: 'timestamptz[]', values: ["'{2026-11-22 18:00:00.5+03}'"] },
  { type: 'mood', values: ["'so so'"] },
  { type: 'positive', values: ['7'] },
  { type: 'inet', values: ["'192.168.0.1/24'", "'::1'"] },
  { type: 'cidr', values: ["'10.0.0.0/8'"] },
  { type: 'macaddr', values: ["'08:00:2b:01:02:03'"] },
  { type: 'money', values: ["'1234.56'", "'-0.5'"] },
];
