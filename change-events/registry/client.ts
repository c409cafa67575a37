import { CdcError, type SchemaRegistryConfig } from '#pipeline/index.ts';
import * as z from 'zod';
import { RegistryAnswer, plainUrl, registryCalls, unreachable, type Ask } from './requests.ts';
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
  const ask = registryCalls(config);

  const latest = (subject: string, signal: AbortSignal | undefined): Promise<Version | null> =>
    orNull(async () =>
      parse(versionAnswer, await ask(`subject ${subject}`, (client) => client.getLatestSchemaMetadata(subject), signal), url),
    );

  const version = (subject: string, number: number, signal: AbortSignal | undefined): Promise<Version | null> =>
    orNull(async () => {
      const found = await ask(`version ${number} of subject ${subject}`, (client) => client.getSchemaMetadata(subject, number), signal);
      return parse(versionAnswer, found, url);
    });

  const versions = async (subject: string, signal: AbortSignal | undefined): Promise<readonly number[]> => {
    // Of its methods this one leaves the name as it is.
    const name = encodeURIComponent(subject);
    const found = await orNull(() => ask(`the versions of subject ${subject}`, (client) => client.getAllVersions(name), signal));
    return found === null ? [] : parse(versionsAnswer, found, url);
  };

  const compatibilityOf = async (subject: string, signal: AbortSignal | undefined): Promise<string | null> => {
    const found = await orNull(() => ask(`the level of subject ${subject}`, (client) => client.getConfig(subject), signal));
    return found === null ? null : (parse(levelAnswer, found, url).compatibilityLevel ?? null);
  };

  /** Those that a new schema is compared with. */
  const compared = async (subject: string, signal: AbortSignal | undefined): Promise<readonly number[]> => {
    const all = (await versions(subject, signal)).toReversed();
    if (all.length < 2) return all;
    const own = await compatibilityOf(subject, signal);
    const level =
      own ?? parse(levelAnswer, await ask('its default level', (client) => client.getDefaultConfig(), signal), url).compatibilityLevel;
    return level?.endsWith('_TRANSITIVE') === true ? all : all.slice(0, 1);
  };

  return {
    url,
    schemaOf: (id, signal) =>
      orNull(async () => {
        // An id means the same under every subject.
        const answer = await ask(`the schema with id ${id}`, (client) => client.getBySubjectAndId('', id), signal);
        const found = parse(schemaAnswer, answer, url);
        return { schemaType: found.schemaType, schema: found.schema, references: await resolve(found.references, version, signal) };
      }),
    register: async (subject, schema, signal) => {
      const id = await orExplained(subject, () =>
        ask(`a schema for subject ${subject}`, (client) => client.register(subject, schema), signal),
      );
      return parse(z.number(), id, url);
    },
    compatibilityOf,
    setCompatibility: async (subject, level, signal) => {
      await orExplained(subject, () =>
        ask(
          `a level for subject ${subject}`,
          (client, { Compatibility }) => client.updateCompatibility(subject, Compatibility[level]),
          signal,
        ),
      );
    },
    latest,
    version,
    check: async (subject, schema, signal) => {
      const reasons = new Set<string>();
      for (const number of await compared(subject, signal)) {
        for (const reason of await check(ask, { subject, number, schema, url }, signal)) reasons.add(reason);
      }
      return [...reasons];
    },
    subjects: async (signal) => {
      const found = await orNull(() => ask('its subjects', (client) => client.getAllSubjects(), signal));
      return found === null ? [] : parse(subjectsAnswer, found, url);
    },
    versions,
  };
}

type Comparison = { readonly subject: string; readonly number: number; readonly schema: NewSchema; readonly url: string };

/** The client's method says yes or no. Why not is in the answer, where the registry was asked for it. */
async function check(ask: Ask, { subject, number, schema, url }: Comparison, signal: AbortSignal | undefined): Promise<readonly string[]> {
  let answer: unknown;
  const keep = (text: unknown): unknown => {
    answer = typeof text === 'string' ? orText(text) : text;
    return answer;
  };
  const what = `a comparison with version ${number} of subject ${subject}`;
  const verbose = { params: { verbose: true }, transformResponse: keep };
  const found = await orNull(() =>
    orExplained(subject, () => ask(what, (client) => client.testCompatibility(subject, number, schema), signal, verbose)),
  );
  if (found === null) return [];
  const { is_compatible: compatible, messages, reason } = parse(checkAnswer, answer, url);
  if (compatible) return [];
  const reasons = [...(messages ?? []), ...(typeof reason === 'string' ? [reason] : [])];
  return reasons.length > 0 ? reasons : ['the registry gives no reason'];
}

function orText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
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
