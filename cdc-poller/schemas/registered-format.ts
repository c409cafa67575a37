import type { NewSchema } from '#change-events/index.ts';
import type { PollerConfig } from '#pipeline/index.ts';
import { formatTableId } from '#change-events/index.ts';
import type { EventShape } from '../encoding/event-encoder.ts';
import type { TableFormat } from '../encoding/table-format.ts';
import type { SourceSession } from '../source/dialect.ts';
import type { TableShape } from '../source/table/table-shape.ts';
import { avroKeySchema, avroValueSchema } from './avro-schema.ts';
import { jsonKeySchema, jsonValueSchema } from './json-schema.ts';
import type { Registrar } from './registration.ts';
import { requireDistinctNames, tableFields } from './table-fields.ts';

/**
 * How a table's events are written in the poller's format. With schemas, they are registered by then: under `<topic>-key` and `<topic>-value`.
 *
 * @param registrar null for JSON without schemas
 * @throws CdcError as {@link Registrar} does, and SCHEMA_INVALID for a table that no schema can be made of
 */
export async function registeredFormat(
  { format }: Pick<PollerConfig, 'format'>,
  registrar: Registrar | null,
  session: SourceSession,
  shape: TableShape,
  event: EventShape,
  topic: string,
  signal: AbortSignal,
): Promise<TableFormat> {
  if (registrar === null) return { format: 'json' };
  const { dialect } = session;
  const details = await dialect.readColumnDetails(session, shape);
  const fields = tableFields(event, details, dialect.fieldTypes, dialect.encodeColumn);
  const [key, row] = [fields.key, fields.row].map((list) => list.map(({ field }) => field));
  const table = formatTableId(shape.id);
  const register = async (kind: 'key' | 'value', schema: NewSchema): Promise<number> =>
    await registrar.idOf({ name: `${topic}-${kind}`, schema }, table, signal);
  if (format === 'json-schema') {
    const ids = {
      key: await register('key', { schemaType: 'JSON', schema: jsonKeySchema(topic, key ?? []) }),
      value: await register('value', { schemaType: 'JSON', schema: jsonValueSchema(topic, row ?? []) }),
    };
    return { format, ids };
  }
  requireDistinctNames(table, fields.key);
  requireDistinctNames(table, fields.row);
  const ids = {
    key: await register('key', { schemaType: 'AVRO', schema: avroKeySchema(topic, key ?? []) }),
    value: await register('value', { schemaType: 'AVRO', schema: avroValueSchema(topic, row ?? []) }),
  };
  return { format: 'avro', ids, fields };
}
