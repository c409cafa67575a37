import { CdcError, describeError, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { qualified } from '../database.ts';
import { recordHalt } from './halts.ts';
import { MismatchError } from '../mirrors/mismatch.ts';

/** Says once why a whole model does not go on for now: in the log, and in the database for the status. */
export function createStopReporter(pool: Pool, schema: string, logger: Logger): { readonly report: (error: unknown) => Promise<void> } {
  let reported = '';
  return {
    report: async (error) => {
      const cause = error instanceof MismatchError ? error.mismatch.error : error;
      const why = describeError(cause);
      if (why === reported) return;
      reported = why;
      const { code, remedy } = cause instanceof CdcError ? cause : unknownFault(cause);
      logger.error({ schema, code, remedy, err: error }, `${why}; the model tries again`);
      if (!(error instanceof MismatchError)) return;
      try {
        await recordHalt(pool, schema, error.mismatch);
      } catch (failed) {
        logger.error({ schema, reason: describeError(failed) }, 'it could not be made known in the database');
      }
    },
  };
}

/** Makes it known, or (null) not any more, that no process applies the model because of an error. The database may be what failed. */
export async function recordStop(pool: Pool, schema: string, error: unknown): Promise<void> {
  const cause = error === null ? null : error instanceof CdcError ? error : unknownFault(error);
  await pool.query(
    `UPDATE ${qualified(schema, 'model_version')}
        SET stopped_code = $1, stopped_cause = $2, stopped_remedy = $3, stopped_at = CASE WHEN $1::text IS NOT NULL THEN clock_timestamp() END`,
    [cause?.code ?? null, cause?.message.replaceAll('\0', String.raw`\0`).slice(0, 4000) ?? null, cause?.remedy ?? null],
  );
}

function unknownFault(error: unknown): CdcError {
  return new CdcError('READ_MODEL_HALTED', describeError(error), { cause: error });
}
