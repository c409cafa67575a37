import { CdcError, type SchemaRegistryConfig } from '#pipeline/index.ts';
import * as z from 'zod';
import { RegistryAnswer, plainUrl, registryRequests, unreachable, type Request } from './requests.ts';
import type { NewSchema, ReferencedSchema, RegisteredSchema, Registry } from './registry.ts';

const schemaType = z
  .enum(['AVRO', 'JSON', 'PROTOBUF'])
  .nullish()
  .transform((type) => type ?? 'AVRO');
const references = z
  .array(z.object({ name: z.string(), subject: z.string(), version: z.number() }))
  .nullish()
  .transform((list) => list ?? []);
const schemaAnswer = z.object({ schema: z.string(), schemaType, references });
const versionAnswer = schemaAnswer.extend({ id: z.number(), version: z.number() });
const idAnswer = z.object({ id: z.number() });
const levelAnswer = z.object({ compatibilityLevel: z.string().nullish() });
/** Confluent's answers with a list, Apicurio's with one text. */
const checkAnswer = z.object({ is_compatible: z.boolean(), messages: z.array(z.string()).nullish(), reason: z.string().nullish() });
const subjectsAnswer = z.array(z.string());
const versionsAnswer = z.array(z.number());

type Version = z.output<typeof versionAnswer>;
type References = z.output<typeof references>;

/**
 * The registry of the configuration. Opens nothing: the first call loads the client and connects.
 *
 * @throws when a TLS file cannot be read (at the first call)
 */
export function openRegistry(config: SchemaRegistryConfig): Registry {
  const url = plainUrl(config.url);
  const request = registryRequests(config);

  const version = async (subject: string, which: number | 'latest', signal: AbortSignal | undefined): Promise<Version | null> =>
    orNull(async () => parse(versionAnswer, await request('GET', `${path(subject)}/versions/${which}`, undefined, signal), url));

  return {
    url,
    schemaOf: (id, signal) =>
      orNull(async () => {
        const found = parse(schemaAnswer, await request('GET', `/schemas/ids/${id}`, undefined, signal), url);
        return { schemaType: found.schemaType, schema: found.schema, references: await resolve(found.references, version, signal) };
      }),
    register: async (subject, schema, signal) => {
      const answer = await orExplained(subject, () => request('POST', `${path(subject)}/versions`, schema, signal));
      return parse(idAnswer, answer, url).id;
    },
    compatibilityOf: async (subject, signal) => {
      const found = await orNull(async () =>
        parse(levelAnswer, await request('GET', `/config/${encodeURIComponent(subject)}`, undefined, signal), url),
      );
      return found?.compatibilityLevel ?? null;
    },
    setCompatibility: async (subject, level, signal) => {
      await orExplained(subject, () => request('PUT', `/config/${encodeURIComponent(subject)}`, { compatibility: level }, signal));
    },
    latest: (subject, signal) => version(subject, 'latest', signal),
    version,
    check: (subject, schema, signal) => check(request, subject, schema, url, signal),
    subjects: async (signal) =>
      (await orNull(async () => parse(subjectsAnswer, await request('GET', '/subjects', undefined, signal), url))) ?? [],
    versions: async (subject, signal) =>
      (await orNull(async () => parse(versionsAnswer, await request('GET', `${path(subject)}/versions`, undefined, signal), url))) ?? [],
  };
}

async function check(
  request: Request,
  subject: string,
  schema: NewSchema,
  url: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const against = (versions: string): Promise<unknown> =>
    request('POST', `/compatibility/subjects/${encodeURIComponent(subject)}/${versions}?verbose=true`, schema, signal);
  const answer = await orNull(() =>
    orExplained(subject, async () => {
      try {
        return await against('versions');
      } catch (error) {
        // Karapace compares with a version that is named, and with no others.
        if (error instanceof CdcError && error.cause instanceof RegistryAnswer) return against('versions/latest');
        throw error;
      }
    }),
  );
  if (answer === null) return [];
  const { is_compatible: compatible, messages, reason } = parse(checkAnswer, answer, url);
  if (compatible) return [];
  const reasons = [...(messages ?? []), ...(typeof reason === 'string' ? [reason] : [])];
  return reasons.length > 0 ? reasons : ['the registry gives no reason'];
}

/** What a schema refers to, deepest first, each once. */
async function resolve(
  wanted: References,
  version: (subject: string, version: number, signal: AbortSignal | undefined) => Promise<Version | null>,
  signal: AbortSignal | undefined,
  found = new Map<string, ReferencedSchema>(),
): Promise<RegisteredSchema['references']> {
  for (const { name, subject, version: number } of wanted) {
    if (found.has(name)) continue;
    // One at a time: they are few, and what one needs the next may need too.
    const referenced = await version(subject, number, signal);
    if (referenced === null) continue;
    await resolve(referenced.references, version, signal, found);
    found.set(name, { name, schema: referenced.schema });
  }
  return [...found.values()];
}

async function orNull<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof RegistryAnswer && error.status === 404) return null;
    throw error;
  }
}

async function orExplained<T>(subject: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof RegistryAnswer)) throw error;
    if (error.status === 409)
      throw new CdcError('SCHEMA_INCOMPATIBLE', `subject ${subject} does not take the schema: ${error.message}`, { cause: error });
    if (error.status === 404) throw error;
    throw new CdcError('SCHEMA_INVALID', `the registry does not take the schema for subject ${subject}: ${error.message}`, {
      cause: error,
    });
  }
}

function parse<T>(schema: z.ZodType<T>, answer: unknown, url: string): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw unreachable(url, "it answers, but not as a schema registry does: is it the address of Confluent's API?");
}

function path(subject: string): string {
  return `/subjects/${encodeURIComponent(subject)}`;
}
