/**
 * A schema registry that speaks Confluent's API (Confluent's own, Apicurio's ccompat, Karapace, Redpanda), as this project asks it. Every
 * call asks the server: nothing is cached and nothing is tried again here, so that an outage is known at once and a caller that
 * needs a cache or patience brings its own.
 *
 * Every call throws CdcError REGISTRY_UNREACHABLE (worth trying again) and REGISTRY_REFUSED, and the signal's reason when it is aborted.
 * No text carries a secret.
 */
export type Registry = {
  /** The registry's address, without a login: for messages. */
  readonly url: string;
  /** The schema with this id, with what it refers to; null when the registry does not know the id. */
  readonly schemaOf: (id: number, signal?: AbortSignal) => Promise<RegisteredSchema | null>;
  /**
   * Registers a schema under a subject, or finds it there; gives its id. A subject that does not exist is made.
   *
   * @throws CdcError SCHEMA_INCOMPATIBLE with the registry's reasons, SCHEMA_INVALID
   */
  readonly register: (subject: string, schema: NewSchema, signal?: AbortSignal) => Promise<number>;
  /** The level set on the subject; null when none is known (no such subject, or only the registry's default holds). */
  readonly compatibilityOf: (subject: string, signal?: AbortSignal) => Promise<string | null>;
  readonly setCompatibility: (subject: string, level: CompatibilityLevel, signal?: AbortSignal) => Promise<void>;
  /** The newest version of a subject; null when there is none. */
  readonly latest: (subject: string, signal?: AbortSignal) => Promise<SchemaVersion | null>;
  /**
   * Why the subject would not take this schema, in the registry's words, against its newest version or as many as its level names;
   * empty when it would.
   *
   * @throws CdcError SCHEMA_INVALID
   */
  readonly check: (subject: string, schema: NewSchema, signal?: AbortSignal) => Promise<readonly string[]>;
  readonly subjects: (signal?: AbortSignal) => Promise<readonly string[]>;
  /** The subject's version numbers, in ascending order; empty when it does not exist. */
  readonly versions: (subject: string, signal?: AbortSignal) => Promise<readonly number[]>;
  /** One version of a subject; null when there is none. */
  readonly version: (subject: string, version: number, signal?: AbortSignal) => Promise<SchemaVersion | null>;
};

/** Confluent's names of the levels. */
export type CompatibilityLevel = 'NONE' | `${'BACKWARD' | 'FORWARD' | 'FULL'}${'' | '_TRANSITIVE'}`;

/** Confluent's names of the kinds of schemas. This project writes and reads the first two. */
export type SchemaType = 'AVRO' | 'JSON' | 'PROTOBUF';

export type NewSchema = { readonly schemaType: SchemaType; readonly schema: string };

export type RegisteredSchema = NewSchema & {
  /** The text of every schema it refers to, directly or not; each after those that it needs itself. */
  readonly references: readonly ReferencedSchema[];
};

/** `name` is what the schema calls it: an Avro full name, or a JSON Schema's `$ref`. */
export type ReferencedSchema = { readonly name: string; readonly schema: string };

export type SchemaVersion = NewSchema & { readonly id: number; readonly version: number };
