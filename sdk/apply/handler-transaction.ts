import { escapeIdentifier, type Pool, type PoolClient } from 'pg';
import { CdcError, unlessAborted } from '#pipeline/index.ts';
import { beginning, queryText, text, transaction } from '#read-model/engine/index.ts';
import type { Delivered } from '../changes/message-reader.ts';
import { guardClient, type Tx } from './guard.ts';

/** The handler threw, or left its transaction in a state that cannot commit. `cause` says with what. */
export class HandlerFailedError extends Error {
  override readonly name = 'HandlerFailedError';
}

/** The handler was let go in the middle of its work; `cause` says why. */
class GivenUpError extends Error {
  override readonly name = 'GivenUpError';
}

export type HandlerTransaction = {
  readonly pool: Pool;
  /** Of the consumer's own tables. */
  readonly schema: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Hands changes over; the signal is aborted when the handler is not waited for any more. */
  readonly handle: (changes: readonly Delivered[], tx: Tx, signal: AbortSignal) => Promise<void>;
};

/** By when the server ends a transaction whose process has stopped without a word, after its handler should have ended. */
const frozenMs = 5000;

/**
 * One transaction of the service's database: what `prepare` does to the consumer's own tables, and the effects of the handler on the changes that
 * `prepare` gives. Both or neither. Within `prepare` names without schema are the consumer's; the handler has the names of its own pool.
 *
 * @throws HandlerFailedError when the handler failed, did not end in time (cause: CdcError CONSUMER_HANDLER_TIMEOUT), or what it wrote cannot commit;
 *   CdcError CONSUMER_TRANSACTION_ENDED, CONSUMER_CONNECTION_TAKEN; what `prepare` throws; the signal's reason
 */
export async function inHandlerTransaction(
  context: HandlerTransaction,
  prepare: (client: PoolClient) => Promise<readonly Delivered[]>,
): Promise<void> {
  const { pool, schema, signal } = context;
  let own: Own | undefined;
  let handled = false;
  try {
    await transaction(
      pool,
      beginning,
      async (client) => {
        own = await ownOf(client);
        await client.query(`SET LOCAL search_path = ${escapeIdentifier(schema)}`);
        const changes = await prepare(client);
        if (changes.length > 0) {
          await runHandler(context, client, own, changes);
          handled = true;
        }
        await confirm(client, own);
      },
      (error) => error instanceof GivenUpError,
    );
  } catch (error) {
    if (error instanceof GivenUpError) {
      // The server may still be at its statement, and hold its locks.
      if (own !== undefined) await endBackend(pool, own).catch(() => undefined);
      if (signal.aborted) throw signal.reason;
      throw new HandlerFailedError('the handler was given up', { cause: error.cause });
    }
    // What it wrote may be refused at its COMMIT only.
    if (handled && error instanceof Error && !(error instanceof CdcError)) throw new HandlerFailedError(error.message, { cause: error });
    throw error;
  }
}

/** What the transaction is known by. */
type Own = { readonly searchPath: string; readonly id: string; readonly pid: string; readonly began: string };

const micros = (time: string): string => `(extract(epoch FROM ${time}) * 1000000)::bigint`;

async function ownOf(client: PoolClient): Promise<Own> {
  const [row = []] = await queryText(
    client,
    `SELECT current_setting('search_path'), pg_current_xact_id()::text, pg_backend_pid()::text, ${micros('transaction_timestamp()')}`,
  );
  return { searchPath: text(row, 0), id: text(row, 1), pid: text(row, 2), began: text(row, 3) };
}

async function runHandler(
  { timeoutMs, signal, handle }: HandlerTransaction,
  client: PoolClient,
  own: Own,
  changes: readonly Delivered[],
): Promise<void> {
  await queryText(
    client,
    `SELECT pg_catalog.set_config('search_path', $1, true), pg_catalog.set_config('idle_in_transaction_session_timeout', $2, true)`,
    [own.searchPath, String(timeoutMs + frozenMs)],
  );
  const guarded = guardClient(client);
  const late = new AbortController();
  const timer = setTimeout(
    () => late.abort(new CdcError('CONSUMER_HANDLER_TIMEOUT', `the handler did not end within ${timeoutMs} ms (${placeText(changes)})`)),
    timeoutMs,
  );
  const until = AbortSignal.any([signal, late.signal]);
  try {
    await unlessAborted((async () => handle(changes, guarded.tx, until))(), until);
  } catch (error) {
    if (until.aborted) throw new GivenUpError('the handler was given up', { cause: until.reason });
    requireKept(guarded.taken(), changes);
    await requireOpen(client, own, changes, error);
    throw new HandlerFailedError('the handler failed', { cause: error });
  } finally {
    clearTimeout(timer);
    guarded.close();
  }
  requireKept(guarded.taken(), changes);
  await requireOpen(client, own, changes, null);
}

function requireKept(taken: string | null, changes: readonly Delivered[]): void {
  if (taken !== null) throw new CdcError('CONSUMER_CONNECTION_TAKEN', `${taken} (${placeText(changes)}); its transaction was rolled back`);
}

/**
 * The transaction is the one that was begun, and can commit.
 *
 * @param thrown what the handler threw; null when it returned
 */
async function requireOpen(client: PoolClient, own: Own, changes: readonly Delivered[], thrown: unknown): Promise<void> {
  let row;
  try {
    [row] = await queryText(client, 'SELECT pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text');
  } catch (error) {
    if (isEndedInside(thrown) || isEndedInside(error)) throw ended(changes, thrown ?? error);
    // The transaction is of no use any more: that is what the handler's own error says, if it threw one.
    if (thrown !== null) return;
    throw new HandlerFailedError('the handler returned, although a statement of its transaction had failed', { cause: error });
  }
  if (row?.[0] !== own.id || isEndedInside(thrown)) throw ended(changes, thrown);
}

/** The SQLSTATE that the consumer's own tables refuse a COMMIT of the handler with. */
function isEndedInside(error: unknown): boolean {
  return error instanceof Error && (('code' in error && error.code === 'CDC01') || isEndedInside(error.cause));
}

function ended(changes: readonly Delivered[], cause: unknown): CdcError {
  const options = cause === null ? {} : { cause };
  return new CdcError(
    'CONSUMER_TRANSACTION_ENDED',
    `the handler ended its transaction at ${placeText(changes)}. A COMMIT was refused and rolled back; what the handler wrote after it, outside of any transaction, is there`,
    options,
  );
}

/** The transaction is whole: its COMMIT is the consumer's own. */
async function confirm(client: PoolClient, own: Own): Promise<void> {
  await queryText(client, `SELECT pg_catalog.set_config('cdc_consumer.whole', $1, true)`, [own.id]);
}

/** Ends a session that is still in that very transaction. */
async function endBackend(pool: Pool, { pid, began }: Own): Promise<void> {
  await queryText(
    pool,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1::integer AND ${micros('xact_start')} = $2::bigint`,
    [pid, began],
  );
}

function placeText(changes: readonly Delivered[]): string {
  const [first, last] = [changes[0], changes.at(-1)];
  return `topic ${first?.topic}, partition ${first?.partition}, offsets ${first?.offset} to ${last?.offset}`;
}
