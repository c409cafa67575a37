import { isDeepStrictEqual } from 'node:util';
import { parseLossless, type NewSchema, type Registry } from '#change-events/index.ts';
import type { PipelineConfig, PollerConfig, PollerTableConfig } from '#pipeline/index.ts';
import { describeError } from '#pipeline/index.ts';
import { judgeTable } from '../judge.ts';
import { problemsError } from '../source/judge/judge-table.ts';
import { dialectOf } from '../dialects.ts';
import { discoverTables } from '../source/table/table-discovery.ts';
import type { SourceSession } from '../source/dialect.ts';
import { isMendable } from '../supervisor/final-errors.ts';
import { eventTopic } from '../supervisor/topics.ts';
import { differenceOf } from './difference.ts';
import type { Registrar, Subject } from './registration.ts';
import { registeredFormat } from './registered-format.ts';

/** What the poller would register for a table, against what is there. */
export type SubjectVerdict = {
  readonly table: string;
  readonly subject: string;
  /** `new`: nothing is registered yet; `same`: the poller would write with an id that is there. */
  readonly verdict: 'new' | 'same' | 'compatible' | 'incompatible';
  /** The version that is the same, else the newest that is there. */
  readonly version: number | null;
  /** Against the newest version, in words. */
  readonly differences: readonly string[];
  /** Why it is incompatible, in the registry's words. */
  readonly reasons: readonly string[];
};

/** A table that cannot be polled as it is, and why. */
export type Unfit = { readonly table: string; readonly problem: string };

/**
 * Compares every configured table with its subjects. Registers and changes nothing, at either end.
 *
 * @throws CdcError REGISTRY_UNREACHABLE, REGISTRY_REFUSED, and what connecting to the legacy database throws
 */
export async function checkSchemas(
  { legacyDb }: PipelineConfig,
  poller: PollerConfig,
  registry: Registry,
  signal: AbortSignal,
): Promise<{ readonly verdicts: readonly SubjectVerdict[]; readonly unfit: readonly Unfit[] }> {
  const dialect = dialectOf(legacyDb);
  await using session = await dialect.openSession(legacyDb, `cdc-poller ${poller.name} schemas`, poller.statementTimeoutMs);
  const verdicts: SubjectVerdict[] = [];
  const unfit: Unfit[] = [];
  const tables = await discoverTables(session, poller, ({ table, findings }) =>
    unfit.push({ table, problem: problemsError(findings).message }),
  );
  for (const table of tables) {
    const wanted = await wantedSubjects(session, poller, table, signal).catch((error: unknown) => {
      if (!isMendable(error)) throw error;
      unfit.push({ table: table.table, problem: describeError(error) });
      return [];
    });
    for (const subject of wanted) verdicts.push({ table: table.table, ...(await judge(registry, subject, signal)) });
  }
  return { verdicts, unfit };
}

/** Key and value: what making the encoder of the table would register. */
async function wantedSubjects(
  session: SourceSession,
  poller: PollerConfig,
  table: PollerTableConfig,
  signal: AbortSignal,
): Promise<readonly Subject[]> {
  const { dialect } = session;
  const identity = await dialect.readIdentity(session);
  const { findings, shape } = await judgeTable(session, identity, table, poller.maskSecret);
  if (findings.length > 0 || shape === null) throw problemsError(findings);
  const wanted: Subject[] = [];
  const notes: Registrar = {
    idOf: async (subject) => {
      wanted.push(subject);
      return 0;
    },
  };
  const event = {
    ...shape,
    encodeColumn: dialect.encodeColumn,
    keyText: dialect.keyText,
    database: identity.database,
    table: shape.id,
    prefix: poller.topicPrefix,
  };
  await registeredFormat(poller, notes, session, shape, event, eventTopic(poller, table), signal);
  return wanted;
}

async function judge(registry: Registry, { name, schema }: Subject, signal: AbortSignal): Promise<Omit<SubjectVerdict, 'table'>> {
  const latest = await registry.latest(name, signal);
  if (latest === null) return { subject: name, verdict: 'new', version: null, differences: [], reasons: [] };
  const { version } = latest;
  const same = isSame(latest, schema) ? version : await versionLike(registry, name, schema, signal);
  if (same !== null) return { subject: name, verdict: 'same', version: same, differences: [], reasons: [] };
  const reasons = await registry.check(name, schema, signal);
  const verdict = reasons.length === 0 ? 'compatible' : 'incompatible';
  return { subject: name, verdict, version, differences: differenceOf(latest, schema), reasons };
}

/** Of an older version: a registry gives its id again. */
async function versionLike(registry: Registry, subject: string, schema: NewSchema, signal: AbortSignal): Promise<number | null> {
  for (const number of (await registry.versions(subject, signal)).toReversed()) {
    const version = await registry.version(subject, number, signal);
    if (version !== null && isSame(version, schema)) return number;
  }
  return null;
}

/** A registry may write a schema's members in another order than it was sent. */
function isSame(a: NewSchema, b: NewSchema): boolean {
  return a.schemaType === b.schemaType && isDeepStrictEqual(parseLossless(a.schema), parseLossless(b.schema));
}
