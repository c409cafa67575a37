import type { RegisteredSchema, Registry } from '../registry/registry.ts';
import { undecodable, type MessagePlace } from '../decode.ts';
import { stringifyLossless } from '../lossless-json.ts';
import { schemaIdOf } from './frame.ts';
import { jsonSchemaReader } from './json-schema-reader.ts';
import type { PayloadReader } from './payload-reader.ts';
import { fitsTopic, tableSchemaName, type TableSchemaName } from './schema-name.ts';
import { sharedWork } from './shared-work.ts';

/** What is asked of a registry here. */
export type SchemaSource = Pick<Registry, 'url' | 'schemaOf'>;

/** The readers of every schema met so far. A schema never changes under its id, so what was loaded is kept while the process lives. */
export type SchemaCache = {
  /** Adds the id of these bytes to the ids that are wanted, unless its schema is there, or cannot be used. */
  readonly want: (bytes: Buffer, wanted: Set<number> | undefined) => Set<number> | undefined;
  /** @throws CdcError REGISTRY_UNREACHABLE, REGISTRY_REFUSED; the signal's reason */
  readonly load: (ids: ReadonlySet<number>, signal: AbortSignal | undefined) => Promise<void>;
  /** The reader of these bytes, and their place with the schema's id. With `part`, its schema must be of the topic's table. @throws CdcError EVENT_UNDECODABLE */
  readonly readerOf: (
    bytes: Buffer,
    place: MessagePlace,
    part?: 'key' | 'value',
  ) => { readonly reader: PayloadReader; readonly place: MessagePlace };
  /** As JSON text; null where it cannot be read. */
  readonly text: (bytes: Buffer) => string | null;
  /** As {@link PayloadReader.transaction}; null where that cannot be read. */
  readonly transactionId: (bytes: Buffer) => string | null;
};

export function schemaCache(registry: SchemaSource | undefined): SchemaCache {
  const readers = new Map<number, Known>();
  /** Ids that could not be asked for. */
  const unanswered = new Set<number>();
  /** Ids that cannot be read, and why. */
  const failed = new Map<number, Error>();

  /** Many partitions meet a new id at the same moment. */
  const load = sharedWork(async (id: number, signal: AbortSignal): Promise<void> => {
    unanswered.add(id);
    const schema = (await registry?.schemaOf(id, signal)) ?? null;
    unanswered.delete(id);
    if (schema === null) return;
    try {
      const reader = await readerFor(schema);
      readers.set(id, { reader, schema: tableSchemaName(reader.name), fitting: { key: new Set(), value: new Set() } });
    } catch (error) {
      failed.set(id, error instanceof Error ? error : new Error(String(error)));
    }
  });

  const knownReader = (bytes: Buffer): PayloadReader | undefined => readers.get(schemaIdOf(bytes) ?? -1)?.reader;

  return {
    want: (bytes, wanted) => {
      const id = schemaIdOf(bytes);
      if (id === null || readers.has(id) || failed.has(id)) return wanted;
      return (wanted ?? new Set()).add(id);
    },
    load: async (ids, signal) => {
      await Promise.all([...ids].map((id) => load(id, signal)));
    },
    readerOf: (bytes, where, part) => {
      const id = schemaIdOf(bytes);
      if (id === null) throw undecodable('the message begins as one with a schema and ends before its id', where);
      const place = { ...where, schemaId: id };
      const known = readers.get(id);
      if (known !== undefined) {
        if (part !== undefined) requireFitting(known, place, part);
        return { reader: known.reader, place };
      }
      if (registry === undefined)
        throw undecodable('the message was written with a schema, and schemaRegistry is not configured', place, {
          remedy: 'Set schemaRegistry.url in pipeline.yaml to the registry that its writer used.',
        });
      const error = failed.get(id);
      if (error !== undefined) throw undecodable(`the schema cannot be used (${error.message})`, place, { cause: error });
      if (unanswered.has(id)) {
        const why = `the message begins as one with a schema does, but other messages of the topic are plain JSON, and the schema registry at ${registry.url} does not answer`;
        throw undecodable(why, place, {
          remedy:
            'If it is not a message of yours: cdc read-model parked discard. Else start the registry, then cdc read-model parked retry.',
        });
      }
      throw undecodable(`the schema registry at ${registry.url} knows no schema with the id of the message`, place, {
        remedy: 'Correct schemaRegistry.url, or register the schema again under its id; then retry what was parked.',
      });
    },
    text: (bytes) =>
      attempt(() => {
        const value = knownReader(bytes)?.value(bytes, nowhere);
        return value === undefined ? null : stringifyLossless(value);
      }),
    transactionId: (bytes) => attempt(() => knownReader(bytes)?.transaction(bytes) ?? null),
  };
}

/** The topics that a schema was found to fit, of keys and of values. */
type Known = {
  readonly reader: PayloadReader;
  readonly schema: TableSchemaName | null;
  readonly fitting: Readonly<Record<'key' | 'value', Set<string>>>;
};

function requireFitting({ schema, fitting }: Known, place: MessagePlace, part: 'key' | 'value'): void {
  if (fitting[part].has(place.topic)) return;
  if (!fitsTopic(schema, place.topic, part)) {
    throw undecodable(`the registry gives ${schema?.name} for the schema of the ${part}, which is not that of the topic's table`, place, {
      remedy:
        'The registry is not the one that the event was written with, or was made again: put its schemas back under their ids, then cdc read-model parked retry. ' +
        'Or have the table published again and give up what is parked: cdc read-model parked discard.',
    });
  }
  fitting[part].add(place.topic);
}

/** Of no error that anybody sees. */
const nowhere: MessagePlace = { topic: '', partition: 0, offset: '' };

function attempt(read: () => string | null): string | null {
  try {
    return read();
  } catch {
    return null;
  }
}

/** Loaded when the first schema of its kind comes: JSON alone never needs it. */
async function readerFor(schema: RegisteredSchema): Promise<PayloadReader> {
  if (schema.schemaType === 'JSON') return jsonSchemaReader(schema.schema);
  if (schema.schemaType !== 'AVRO') throw new TypeError(`schemas of type ${schema.schemaType} are not read`);
  const { avroReader } = await import('./avro/reader.ts');
  return avroReader(schema);
}
