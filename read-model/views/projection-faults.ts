import { CdcError, describeError } from '#pipeline/index.ts';
import { qualified, queryText, text, type Database, type TextRow } from '../database.ts';
import { attempt } from '../parking/savepoint.ts';
import { isRetryable } from '../retry.ts';
import type { Projection } from './projection.ts';

/** Why a view is halted: nothing is written to it until it is made again. */
export type ProjectionFault = {
  readonly projection: string;
  readonly code: string;
  readonly cause: string;
  readonly remedy: string;
  /** The key at fault, where it is known. */
  readonly key: string | null;
  readonly since: string;
};

function remedyOf(code: string): string {
  const known = code === 'READ_MODEL_PROJECTION_KEY_NOT_UNIQUE' ? code : 'READ_MODEL_PROJECTION_FAILED';
  return new CdcError(known, '').remedy;
}

/** The halted views of a model. */
export async function projectionFaults(database: Database, schema: string): Promise<readonly ProjectionFault[]> {
  const rows = await queryText(
    database,
    `SELECT projection, code, cause, key, since FROM ${qualified(schema, 'projection_faults')} ORDER BY projection`,
  );
  return rows.map((row) => ({
    projection: text(row, 0),
    code: text(row, 1),
    cause: text(row, 2),
    remedy: remedyOf(text(row, 1)),
    key: row[3] ?? null,
    since: text(row, 4),
  }));
}

/**
 * Runs a projection's SQL so that it can fail alone: then the transaction is as before, the view is halted, and the error is given. Failures
 * that pass are everybody's.
 *
 * @param keys of which the work was to make the rows; none for all
 * @param begun the savepoint is there already
 */
export async function orHalts(
  client: Database,
  projection: Projection,
  keys: readonly string[] | null,
  work: () => Promise<void>,
  begun = false,
): Promise<CdcError | null> {
  const failure = await attempt(client, work, begun);
  if (failure === null) return null;
  if (isRetryable(failure.error)) throw failure.error;
  const { error, key } = await explain(client, projection, keys, failure.error);
  await client.query(
    `INSERT INTO projection_faults (projection, code, cause, key) VALUES ($1, $2, $3, $4)
     ON CONFLICT (projection) DO UPDATE SET code = EXCLUDED.code, cause = EXCLUDED.cause, key = EXCLUDED.key`,
    [projection.name, error.code, error.message, key],
  );
  return error;
}

/** The query gives two rows for a key. */
class KeyTwiceError extends Error {
  override readonly name = 'KeyTwiceError';
  readonly key: TextRow;

  constructor(key: TextRow) {
    super('a key comes twice');
    this.key = key;
  }
}

/** From how many keys on a view is made for all of them together: measured, docs/projections.md. */
const many = 32;

/** Makes the rows of keys, which come as arrays of `count`. @throws KeyTwiceError */
export async function makeRows(
  client: Database,
  { upkeep, upkeepOfMany }: Projection,
  keys: readonly string[],
  count: number,
): Promise<void> {
  for (const statement of count < many || upkeepOfMany.length === 0 ? upkeep : upkeepOfMany) {
    const [twice] = await queryText(client, statement, keys);
    if (twice !== undefined) throw new KeyTwiceError(twice);
  }
}

/** SQLSTATEs by which a row would be written twice. */
const twiceStates: ReadonlySet<string> = new Set(['21000', '23505']);

async function explain(
  client: Database,
  { name, key: columns, duplicate }: Projection,
  keys: readonly string[] | null,
  error: unknown,
): Promise<{ readonly error: CdcError; readonly key: string | null }> {
  const state = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  let found = error instanceof KeyTwiceError ? error.key : undefined;
  if (duplicate !== null && twiceStates.has(state)) {
    await attempt(client, async () => {
      [found] = keys === null ? await queryText(client, duplicate.ofAll) : await queryText(client, duplicate.ofKeys, keys);
    });
  }
  if (found === undefined) {
    return {
      error: new CdcError('READ_MODEL_PROJECTION_FAILED', `projection ${name}: ${describeError(error)}`, { cause: error }),
      key: null,
    };
  }
  const values = found;
  const key = columns.map((column, index) => `${column.name} = ${values[index] ?? 'null'}`).join(', ');
  const message = `projection ${name}: its query gives the key ${key} more than once`;
  return { error: new CdcError('READ_MODEL_PROJECTION_KEY_NOT_UNIQUE', message, { cause: error }), key };
}
