/**
 * Column types of MariaDB with values in SQL and the JSON text that stands in `after`. What Debezium's MariaDB connector 3.5.0 writes for the same value
 * was seen beside it; the third part says where it is another, and why.
 */
export type MariadbSample = readonly [value: string, json: string, debezium?: string];

const zero = 'its stream gives the epoch, its snapshot null';
const duration = 'null: its times are times of the day';
const century = '2001-…: it takes years below 100 for short ones (enable.time.adjuster)';

export const mariadbSamples: Readonly<Record<string, readonly MariadbSample[]>> = {
  tinyint: [['-128', '-128'], ['127', '127']],
  'tinyint unsigned': [['255', '255']],
  boolean: [['true', '1'], ['false', '0']],
  'smallint unsigned': [['65535', '65535']],
  mediumint: [['-8388608', '-8388608']],
  'int unsigned': [['4294967295', '4294967295']],
  'int(6) zerofill': [['42', '42'], ['0', '0']],
  bigint: [['9223372036854775807', '9223372036854775807'], ['-9223372036854775808', '-9223372036854775808'], ['9007199254740993', '9007199254740993']],
  'bigint unsigned': [['18446744073709551615', '18446744073709551615'], ['7', '7']],
  'decimal(20,4)': [["'-9999999999999999.9999'", '"-9999999999999999.9999"'], ["'1.5'", '"1.5000"'], ['0', '"0.0000"']],
  'decimal(65,30)': [["'12345678901234567890.123456789'", '"12345678901234567890.123456789000000000000000000000"']],
  float: [['1.1', '1.1'], ['16777216', '1.6777216E7', 'its snapshot rounds to six digits'], ['3.4028235e38', '3.4028235E38', 'its snapshot rounds to six digits'], ['0.001', '0.001'], ['0', '0.0'], ['-1e-5', '-1.0E-5']],
  'float(7,3)': [['1234.567', '1234.5670166015625'], ['0.1', '0.10000000149011612']],
  double: [['1.1', '1.1'], ['1.7976931348623157e308', '1.7976931348623157E308'], ['1e7', '1.0E7'], ['0.00099', '9.9E-4'], ['100', '100.0']],
  'double(10,2)': [['12345678.9', '1.23456789E7'], ['-0.1', '-0.1', 'its stream gives -0.09999999999999998']],
  'bit(1)': [["b'1'", 'true'], ["b'0'", 'false']],
  'bit(5)': [["b'10101'", '"FQ=="'], ["b'1'", '"AQ=="']],
  'bit(20)': [["b'10000000000000000001'", '"AQAI"']],
  'bit(64)': [["b'1000000000000000000000000000000000000000000000000000000000000001'", '"AQAAAAAAAIA="']],
  date: [["'2026-02-28'", '"2026-02-28Z"'], ["'1000-01-01'", '"1000-01-01Z"'], ["'0000-00-00'", 'null'], ["'2026-00-00'", 'null'], ["'0001-01-01'", '"0001-01-01Z"', century]],
  datetime: [["'2026-11-23 05:11:24'", '"2026-11-23T05:11:24Z"'], ["'0000-00-00'", 'null'], ["'2026-02-00'", 'null']],
  'datetime(3)': [["'2026-11-23 05:11:24.120'", '"2026-11-23T05:11:24.12Z"'], ["'9999-12-31 23:59:59.999'", '"9999-12-31T23:59:59.999Z"']],
  'datetime(6)': [["'2026-11-23 05:11:24.978120'", '"2026-11-23T05:11:24.97812Z"'], ["'2026-11-23 05:11:24'", '"2026-11-23T05:11:24Z"']],
  'timestamp null': [["'2026-11-22 18:00:00'", '"2026-11-22T15:00:00Z"'], ["'1970-01-01 03:00:01'", '"1970-01-01T00:00:01Z"'], ["'0000-00-00'", 'null', zero]],
  'timestamp(3) null': [["'2026-11-22 18:00:00.1'", '"2026-11-22T15:00:00.100Z"', 'its snapshot leaves out zeros at the end']],
  'timestamp(6) null': [["'2026-11-22 18:00:00.123450'", '"2026-11-22T15:00:00.123450Z"', 'its snapshot leaves out zeros at the end'], ["'2026-11-22 18:00:00'", '"2026-11-22T15:00:00.000000Z"', 'its snapshot leaves out zeros at the end']],
  "date not null default '0000-00-00'": [["'0000-00-00'", '"1970-01-01Z"']],
  "datetime not null default '0000-00-00'": [["'0000-00-00'", '"1970-01-01T00:00:00Z"']],
  "timestamp not null default '0000-00-00'": [["'0000-00-00'", '"1970-01-01T00:00:00Z"']],
  time: [["'23:59:59'", '"23:59:59Z"'], ["'24:00:00'", '"24:00:00Z"', '00:00:00Z: it writes the end of the day as its beginning'], ["'-01:30:15'", '"-01:30:15Z"', duration]],
  'time(6)': [["'00:00:00.000001'", '"00:00:00.000001Z"'], ["'10:11:12.5'", '"10:11:12.5Z"'], ["'-838:59:58.999990'", '"-838:59:58.99999Z"', duration]],
  year: [['2026', '2026'], ['1901', '1901'], ['0', '0', 'its snapshot fails']],
  'char(5)': [["'ab '", '"ab"'], ["''", '""']],
  'varchar(50)': [["'emoji 😀 é \" \\\\ \\n'", String.raw`"emoji \uD83D\uDE00 é \" \\ \n"`], ["'a  '", '"a  "']],
  'varchar(20) character set latin1': [["'Süd'", '"Süd"']],
  text: [["''", '""']],
  longtext: [["'漢字'", '"漢字"']],
  'binary(5)': [["'a'", '"YQAAAAA="'], ["x'0000000000'", '"AAAAAAA="']],
  'varbinary(10)': [["x'00ff10'", '"AP8Q"'], ["''", '""']],
  longblob: [["x'00ff10'", '"AP8Q"']],
  json: [[`'{"b": 1,  "a": [1.50, null]}'`, String.raw`"{\"b\": 1,  \"a\": [1.50, null]}"`], ["'9007199254740993'", '"9007199254740993"']],
  "enum('a','x,y')": [["'x,y'", '"x,y"', String.raw`its stream escapes the comma: x\,y`], ['0', '""']],
  "set('a','b','c')": [["'a,c'", '"a,c"'], ["''", '""']],
  uuid: [["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"']],
  inet6: [["'::1'", '"::1"', 'it cannot read such a table']],
  point: [["ST_PointFromText('POINT(1 2)')", '"AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA=="', 'a struct of x, y, wkb and srid; here the bytes as the server has them, SRID and WKB']],
}; // prettier-ignore
