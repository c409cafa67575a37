/** A column's name as Debezium adjusts it for Avro: other characters become `_`, and a digit is not the first. */
export function avroFieldName(column: string): string {
  return column.replaceAll(/\W/g, '_').replace(/^\d/, '_$&');
}

/** A topic's name as the namespace of its records. Debezium minds a digit at the very beginning only; Avro minds one at the beginning of each part. */
export function avroNamespace(topic: string): string {
  return topic
    .split('.')
    .map((part) => (part === '' ? '_' : avroFieldName(part)))
    .join('.');
}
