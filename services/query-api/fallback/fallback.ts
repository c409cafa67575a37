import { CdcError, describeError, type FallbackConfig, type LegacyDbConfig, type Logger, type QueryApiConfig } from '#pipeline/index.ts';
import { hasReached, laterBy, type Wanted } from '#read-model/index.ts';
import { postgresFailure } from '../../http/postgres-failures.ts';
import { Problem } from '../../http/problems.ts';
import { createGuard, Refused, type Guard } from '../../resilience/guard.ts';
import { answerOf, type Asked, type TableAnswer } from '../http/table-answer.ts';
import { notReached, PositionsAway, type AskedPosition } from '../http/wait-for-position.ts';
import type { Reader } from '../model/reader.ts';
import { createLastAnswers, type LastAnswers } from './last-answers.ts';
import { openLegacyReader, type LegacyReader } from './legacy-reader.ts';

/**
 * What answers while the read model cannot: the last good answer to the same question, marked as stale; else the legacy database, for a mirror of one of its
 * tables; else nobody (503). A question that is wrong is wrong at once, and a query that takes too long is not made again at the legacy database.
 */
export type Fallback = AsyncDisposable & {
  /** Every question to the read model goes through it. */
  readonly model: Guard;
  /** `askModel`: the read model's own answer. @throws Problem; what `askModel` throws when nobody answers */
  answer(asked: Asked, position: AskedPosition | null, askModel: () => Promise<TableAnswer>): Promise<TableAnswer>;
  /** Whether anybody may answer without the read model. */
  readonly canAnswer: boolean;
  readonly guards: readonly Guard[];
  readonly lastAnswers: LastAnswers['figures'];
  /** At the start: what only a person can mend. @throws CdcError QUERY_API_FALLBACK_ROLE_TOO_STRONG, LEGACY_LOGIN_REFUSED */
  check(): Promise<void>;
};

type FallbackOptions = {
  readonly settings: FallbackConfig;
  readonly queryApi: QueryApiConfig;
  readonly legacyDb: LegacyDbConfig;
  readonly reader: Pick<Reader, 'known'>;
  /** How far the clock of the source is ahead. */
  readonly clockAheadMs: number;
  readonly logger: Logger;
};

/** Of the pool, in the first place, which has its own bounds. */
const modelCalls = { concurrent: 10_000, queue: 0 };

export function createFallback({ settings, queryApi, legacyDb, reader, clockAheadMs, logger }: FallbackOptions): Fallback {
  // A statement may take its time; a server that has gone without a word is not waited for longer.
  const timing = { ...settings.model, ...modelCalls, timeoutMs: queryApi.statementTimeoutMs + 1000 };
  const model = createGuard('read-model', timing, isAway, logger);
  const lastAnswers = createLastAnswers(settings.lastAnswers);
  const legacy = settings.legacy === undefined ? null : openLegacyReader({ legacyDb, settings: settings.legacy, queryApi, logger });
  return {
    model,
    guards: legacy === null ? [model] : [model, legacy.guard],
    get canAnswer() {
      return legacy?.guard.isOpen === false || lastAnswers.figures.answers > 0;
    },
    get lastAnswers() {
      return lastAnswers.figures;
    },
    async check() {
      try {
        await legacy?.check();
      } catch (error) {
        if (!(error instanceof CdcError) || error.code !== 'LEGACY_DB_UNREACHABLE') throw error;
        logger.warn({ reason: describeError(error) }, 'the legacy database of the fallback is away');
      }
    },
    async answer(asked, position, askModel) {
      let why: unknown = new Refused('open', 'the read model is not asked at present');
      if (!model.isOpen) {
        try {
          const given = await askModel();
          if (typeof given.body === 'string') lastAnswers.keep(asked, { ...given, body: given.body });
          else lastAnswers.forget(asked);
          return given;
        } catch (error) {
          if (!isAway(error)) throw error;
          why = error;
        }
      }
      logger.debug({ reason: describeError(why) }, 'the read model cannot answer: the fallback is asked');
      const answer = lastAnswer(asked, position) ?? (await legacyAnswer(legacy, asked, position));
      if (answer !== null) return answer;
      if (position !== null) throw notReached(queryApi.positionWaitMs);
      throw new Problem('model-unavailable', 'The read model cannot be read at present, and nothing else has the answer.', { cause: why });
    },
    async [Symbol.asyncDispose]() {
      await legacy?.[Symbol.asyncDispose]();
    },
  };

  function lastAnswer(asked: Asked, position: AskedPosition | null): TableAnswer | null {
    const kept = lastAnswers.find(asked);
    if (kept === null) return null;
    const { applied, ageMs } = kept;
    const isReached =
      position === null || hasReached({ offsets: applied.position, asOf: applied.asOf }, laterBy(clockAheadMs, position.wanted));
    if (!isReached && !position.takesOlder) return null;
    const stalenessMs = applied.stalenessMs === null ? null : applied.stalenessMs + BigInt(Math.ceil(ageMs));
    return { ...kept, applied: { ...applied, stalenessMs }, isReached, source: 'last-answer' };
  }

  async function legacyAnswer(from: LegacyReader | null, asked: Asked, position: AskedPosition | null): Promise<TableAnswer | null> {
    const mirror = reader.known()?.tables.get(asked.name);
    if (from === null || mirror === undefined) return null;
    try {
      const found = await from.read(mirror, asked);
      if (found === null) return null;
      const given = answerOf(found.read, found.query, asked);
      const { asOf } = given.applied;
      const isReached = position === null || (asOf !== null && isBefore(position.wanted, asOf));
      if (!isReached && !position.takesOlder) return null;
      return { ...given, isReached, source: asOf === null ? 'legacy-copy' : 'legacy', ageMs: 0 };
    } catch (error) {
      if (error instanceof Problem) throw error;
      if (postgresFailure(error) === 'value') throw error;
      logger.debug({ reason: describeError(error) }, 'the legacy database did not answer either');
      return null;
    }
  }
}

/** Whether it was committed in the source before a time of its clock: what is in Kafka was. */
function isBefore(wanted: Wanted, asOf: bigint): boolean {
  return wanted.kind === 'offsets' || wanted.micros <= asOf;
}

/** The model is away, and not the question wrong. A query that takes too long would take long elsewhere too. */
function isAway(error: unknown): boolean {
  if (error instanceof Refused || error instanceof PositionsAway) return true;
  return !(error instanceof Problem) && postgresFailure(error) === 'away';
}
