import { CdcError } from '#pipeline/index.ts';
import type { RegisteredSchema, Registry, SchemaType } from './registry.ts';

export type SubjectRow = {
  readonly subject: string;
  readonly type: SchemaType;
  /** In ascending order. */
  readonly versions: readonly number[];
  /** Of the newest version. */
  readonly id: number;
  /** Null where only the registry's default holds. */
  readonly compatibility: string | null;
};

/** How many subjects are asked for at once. */
const atOnce = 8;

/** Every subject with its versions, by name. */
export async function listSubjects(registry: Registry, signal: AbortSignal): Promise<readonly SubjectRow[]> {
  const subjects = (await registry.subjects(signal)).toSorted();
  const rows: (SubjectRow | null)[] = [];
  for (let from = 0; from < subjects.length; from += atOnce) {
    rows.push(...(await Promise.all(subjects.slice(from, from + atOnce).map((subject) => rowOf(registry, subject, signal)))));
  }
  return rows.filter((row) => row !== null);
}

/** Null for one that was deleted meanwhile. */
async function rowOf(registry: Registry, subject: string, signal: AbortSignal): Promise<SubjectRow | null> {
  const [versions, latest, compatibility] = await Promise.all([
    registry.versions(subject, signal),
    registry.latest(subject, signal),
    registry.compatibilityOf(subject, signal),
  ]);
  return latest === null ? null : { subject, type: latest.schemaType, versions, id: latest.id, compatibility };
}

/** The subjects that have types for consumers: not those of Debezium's own topics. */
export async function defaultSubjects(registry: Registry, signal: AbortSignal): Promise<readonly string[]> {
  const rows = await listSubjects(registry, signal);
  return rows.filter(({ subject, type }) => !subject.startsWith('__') && type !== 'PROTOBUF').map(({ subject }) => subject);
}

/**
 * A version of a subject with what its schema refers to. `name` is the subject's, with `@` and a number for one version, else the newest.
 *
 * @throws CdcError SUBJECT_UNKNOWN
 */
export async function readSubject(
  registry: Registry,
  name: string,
  signal: AbortSignal,
): Promise<{ readonly subject: string; readonly version: number; readonly id: number; readonly schema: RegisteredSchema }> {
  const { subject, number } = /^(?<subject>.+)@(?<number>\d+)$/s.exec(name)?.groups ?? {};
  const found = subject === undefined ? await registry.latest(name, signal) : await registry.version(subject, Number(number), signal);
  const schema = found === null ? null : await registry.schemaOf(found.id, signal);
  if (found === null || schema === null) throw new CdcError('SUBJECT_UNKNOWN', `the schema registry at ${registry.url} has no ${name}`);
  return { subject: subject ?? name, version: found.version, id: found.id, schema };
}
