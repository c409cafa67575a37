import { CdcError } from '#pipeline/index.ts';
import type { EventColumn, EncodeColumn, PublishedColumn } from '../encoding/event-encoder.ts';
import type { AvroValue } from '../encoding/avro-value.ts';
import type { Mask } from '../encoding/masks.ts';
import { avroFieldName } from './avro-name.ts';
import { defaultValue } from './default-literal.ts';
import type { ColumnDetail, ColumnDetails, DeclaredAs, FieldType, SchemaField } from './field-type.ts';

/** What a database's types become in a schema. */
export type FieldTypes = {
  readonly typeOf: (type: EventColumn['type'], detail: ColumnDetail | undefined) => FieldType;
  readonly declaredAs: (type: EventColumn['type'], detail: ColumnDetail | undefined) => DeclaredAs;
  readonly avroValue: (column: EventColumn, type: FieldType) => AvroValue;
};

export type FieldsShape = {
  readonly columns: readonly EventColumn[];
  readonly published: readonly PublishedColumn[];
  readonly key: readonly number[];
};

/** A field and the column that it is of; `mask`: what replaces it. */
export type ColumnField = { readonly index: number; readonly field: SchemaField; readonly mask: Mask | null };

/** The fields of a table's key and of its rows, in the order in which they are written. */
export type TableFields = { readonly key: readonly ColumnField[]; readonly row: readonly ColumnField[] };

export function tableFields(
  { columns, published, key }: FieldsShape,
  details: ColumnDetails,
  { typeOf, declaredAs }: FieldTypes,
  encodeColumn: EncodeColumn,
): TableFields {
  const at = (index: number): EventColumn => {
    const column = columns[index];
    if (column === undefined) throw new RangeError(`column ${index} of ${columns.length}`);
    return column;
  };
  const plain = (index: number): SchemaField => {
    const column = at(index);
    const type = typeOf(column.type, details.get(column.name));
    return { column: column.name, name: avroFieldName(column.name), type, nullable: column.notNull !== true };
  };
  return {
    key: key.map((index) => ({ index, field: plain(index), mask: null })),
    row: published.map(({ column: index, mask }) => {
      const column = at(index);
      const field = plain(index);
      if (mask !== null) return { index, field: maskedField(field, mask), mask };
      const detail = details.get(column.name);
      const declared = declaredAs(column.type, detail);
      return {
        index,
        field: { ...field, declared, default: defaultValue(detail, field.type, column.type.modifier, encodeColumn(column)) },
        mask,
      };
    }),
  };
}

/** A hash is null where the value was; what is fixed is never anything else. */
function maskedField(field: SchemaField, mask: Mask): SchemaField {
  if (mask.kind === 'hash') return { ...field, type: { base: 'string' } };
  if (mask.value === null) return { ...field, nullable: true };
  if (typeof mask.value === 'string') return { ...field, type: { base: 'string' }, nullable: false };
  if (typeof mask.value === 'boolean') return { ...field, type: { base: 'boolean' }, nullable: false };
  return { ...field, type: { base: Number.isSafeInteger(mask.value) ? 'long' : 'double' }, nullable: false };
}

/** @throws CdcError SCHEMA_INVALID where Avro knows two columns by one name, as it does for Debezium's connector */
export function requireDistinctNames(table: string, fields: readonly ColumnField[]): void {
  const columns = new Map<string, string>();
  for (const { field } of fields) {
    const other = columns.get(field.name);
    if (other !== undefined) {
      throw new CdcError(
        'SCHEMA_INVALID',
        `columns "${other}" and "${field.column}" of table ${table} would both be the Avro field "${field.name}"`,
        { remedy: 'Leave one of them out (excludeColumns), or write the table as json-schema or json, which take any name.' },
      );
    }
    columns.set(field.name, field.column);
  }
}
