import type { RegisteredSchema, Registry } from '../registry/registry.ts';
import { undecodable, type MessagePlace } from '../decode.ts';
import { stringifyLossless } from '../lossless-json.ts';
import { schemaIdOf } from './frame.ts';
import { jsonSchemaReader } from './json-schema-reader.ts';
import type { PayloadReader } from './payload-reader.ts';
import { sharedWork } from './shared-work.ts';

/** What is asked of a registry here. */
export type SchemaSource = Pick<Registry, 'url' | 'schemaOf'>;

/** The readers of every schema met so far. A schema never changes under its id, so what was loaded is kept while the process lives. */
export type SchemaCache = {
  /** Adds the id of these bytes to the ids that are wanted, unless its schema is there, or cannot be used. */
  readonly want: (bytes: Buffer, wanted: Set<number> | undefined) => Set<number> | undefined;
  /** @throws CdcError REGISTRY_UNREACHABLE, REGISTRY_REFUSED; the signal's reason */
  readonly load: (ids: ReadonlySet<number>, signal: AbortSignal | undefined) => Promise<void>;
  /** The reader of these bytes, and their place with the schema's id. @throws CdcError EVENT_UNDECODABLE */
  readonly readerOf: (bytes: Buffer, place: MessagePlace) => { readonly reader: PayloadReader; readonly place: MessagePlace };
  /** As JSON text; null where it cannot be read. */
  readonly text: (bytes: Buffer) => string | null;
  /** As {@link PayloadReader.transaction}; null where that cannot be read. */
  readonly transactionId: (bytes: Buffer) => string | null;
};

export function schemaCache(registry: SchemaSource | undefined): SchemaCache {
  const readers = new Map<number, PayloadReader>();
  /** Ids that cannot be read, and why. */
  const failed = new Map<number, Error>();

  /** Many partitions meet a new id at the same moment. */
  const load = sharedWork(async (id: number, signal: AbortSignal): Promise<void> => {
    const schema = (await registry?.schemaOf(id, signal)) ?? null;
    if (schema === null) return;
    try {
      readers.set(id, await readerFor(schema));
    } catch (error) {
      failed.set(id, error instanceof Error ? error : new Error(String(error)));
    }
  });

  const knownReader = (bytes: Buffer): PayloadReader | undefined => readers.get(schemaIdOf(bytes) ?? -1);

  return {
    want: (bytes, wanted) => {
      const id = schemaIdOf(bytes);
      if (id === null || readers.has(id) || failed.has(id)) return wanted;
      return (wanted ?? new Set()).add(id);
    },
    load: async (ids, signal) => {
      await Promise.all([...ids].map((id) => load(id, signal)));
    },
    readerOf: (bytes, where) => {
      const id = schemaIdOf(bytes);
      if (id === null) throw undecodable('the message begins as one with a schema and ends before its id', where);
      const place = { ...where, schemaId: id };
      const reader = readers.get(id);
      if (reader !== undefined) return { reader, place };
      if (registry === undefined)
        throw undecodable('the message was written with a schema, and schemaRegistry is not configured', place, {
          remedy: 'Set schemaRegistry.url in pipeline.yaml to the registry that its writer used.',
        });
      const error = failed.get(id);
      if (error !== undefined) throw undecodable(`the schema cannot be used (${error.message})`, place, { cause: error });
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
  if (schema.schemaType === 'JSON') return jsonSchemaReader();
  if (schema.schemaType !== 'AVRO') throw new TypeError(`schemas of type ${schema.schemaType} are not read`);
  const { avroReader } = await import('./avro/reader.ts');
  return avroReader(schema);
}
