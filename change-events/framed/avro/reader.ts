import { describeError } from '#pipeline/index.ts';
import { toChangeEvent, toRowChange, undecodable, type MessagePlace } from '../../decode.ts';
import type { JsonValue } from '../../lossless-json.ts';
import type { RegisteredSchema } from '../../registry/registry.ts';
import { payloadStart } from '../frame.ts';
import type { PayloadReader } from '../payload-reader.ts';
import { envelopePlans } from './envelope-plans.ts';
import type { Cursor } from './cursor.ts';
import { parseAvroSchema, recordName } from './schema.ts';
import { codecMaker } from './value-codec.ts';

/**
 * Reads what one Avro schema wrote: always by that schema, the writer's. Compiled once; a reader's schema of our own would only take
 * columns away or invent some.
 *
 * @throws TypeError or SyntaxError when the schema is no Avro
 */
export function avroReader({ schema, references }: RegisteredSchema): PayloadReader {
  const type = parseAvroSchema(
    schema,
    references.map((reference) => reference.schema),
  );
  const codecOf = codecMaker();
  const codec = codecOf(type);
  const plans = envelopePlans(type, codecOf);

  const value = (bytes: Buffer, place: MessagePlace): JsonValue => {
    const cursor: Cursor = { bytes, at: payloadStart };
    const read = guarded(() => codec.read(cursor), place);
    if (cursor.at !== bytes.length) throw undecodable('the bytes go on after the end of what its Avro schema says', place);
    return read;
  };

  return {
    name: recordName(schema),
    value,
    change: (bytes, place) => {
      const change = plans === null ? undefined : guarded(() => plans.change(bytes), place);
      if (change === undefined) return toRowChange(toChangeEvent(value(bytes, place), place));
      const { op, after, lsn, before } = change;
      return { op, after, lsn, before: () => guarded(before, place) };
    },
    transaction: (bytes) => plans?.transaction(bytes) ?? null,
  };
}

function guarded<T>(read: () => T, place: MessagePlace): T {
  try {
    return read();
  } catch (error) {
    throw undecodable(`the bytes are not what its Avro schema says (${describeError(error)})`, place, { cause: error });
  }
}
