import type { ConnectorConfig } from './config-file.ts';

/** Settings under which a connector's values have the forms of docs/change-event.md; Debezium's own default, where it is another one. */
const forms: readonly (readonly [setting: string, value: string, byDefault: string, only?: 'mariadb'])[] = [
  ['decimal.handling.mode', 'string', 'precise'],
  ['time.precision.mode', 'isostring', 'adaptive'],
  ['interval.handling.mode', 'string', 'numeric'],
  ['binary.handling.mode', 'bytes', 'bytes'],
  ['bigint.unsigned.handling.mode', 'precise', 'long', 'mariadb'],
];

/** The settings of a connector, each as `name=value should be value`, that give its values other forms than those of the contract. Empty: none. */
export function otherForms(config: ConnectorConfig): readonly string[] {
  const isMariadb = !(config['connector.class'] ?? '').includes('postgresql');
  return forms.flatMap(([setting, value, byDefault, only]) => {
    // Intervals are of Postgres alone.
    if (isMariadb ? setting === 'interval.handling.mode' : only === 'mariadb') return [];
    const found = config[setting] ?? byDefault;
    return found === value ? [] : [`${setting} is ${found} and should be ${value}`];
  });
}

/** How a connector writes keys and values, by the names of its converters. */
export function formatsOf(config: ConnectorConfig): { readonly key: Format; readonly value: Format } {
  return { key: formatOf(config['key.converter']), value: formatOf(config['value.converter']) };
}

type Format = 'json' | 'avro' | 'json-schema';

function formatOf(converter = ''): Format {
  if (/avro/i.test(converter)) return 'avro';
  return /json-?schema/i.test(converter) ? 'json-schema' : 'json';
}
