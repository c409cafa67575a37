import { createHash } from 'node:crypto';
import type { PoolClient } from 'pg';
import { queryText, type Database } from '#read-model/index.ts';
import { Problem } from '../../http/problems.ts';

/**
 * Commands that are done once however often they are sent: the answer is kept under the caller's key, in the transaction of the command itself, so that
 * neither is there without the other.
 */

/** What a command answers. */
export type Done = {
  readonly status: 200 | 201 | 204;
  readonly etag: string | null;
  readonly location: string | null;
  readonly body: string | null;
};

export type CommandKey = {
  /** Who sent it: keys of different callers are different. Never the name itself. */
  readonly caller: string;
  readonly key: string;
  /** Of all that makes the command: the same key with another one is a mistake. */
  readonly fingerprint: string;
};

const keyForm = /^[\u0021-\u007E]{1,200}$/;
/** Removed with each command, so that the table stays small without a task of its own. */
const expiredMost = 100;

/** @param subject of the token; null where there is none. @throws Problem bad-request */
export function readKey(header: string | undefined, subject: string | null, command: readonly unknown[]): CommandKey | null {
  if (header === undefined) return null;
  if (!keyForm.test(header)) throw new Problem('bad-request', 'Idempotency-Key: expected 1 to 200 visible characters of ASCII.');
  return { caller: hash(subject ?? ''), key: header, fingerprint: hash(JSON.stringify(command)) };
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/** The answer that is kept; null when there is none. @throws Problem idempotency-key-reused */
export async function keptAnswer(database: Database, table: string, { caller, key, fingerprint }: CommandKey): Promise<Done | null> {
  const [row] = await queryText(
    database,
    `SELECT fingerprint, status, etag, location, body FROM ${table} WHERE caller = $1 AND key = $2 AND expires_at > now()`,
    [caller, key],
  );
  if (row === undefined) return null;
  const [kept, status, etag = null, location = null, body = null] = row;
  if (kept !== fingerprint)
    throw new Problem('idempotency-key-reused', 'A command with this Idempotency-Key was another one. A new command needs a new key.');
  return { status: statusOf(status), etag, location, body };
}

function statusOf(text: string | null | undefined): Done['status'] {
  if (text === '201') return 201;
  return text === '204' ? 204 : 200;
}

/** Until the transaction ends, no other command with this key runs, in no process. @throws Problem command-running */
export async function claimKey(client: PoolClient, { caller, key }: CommandKey): Promise<void> {
  const [row] = await queryText(client, 'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 4711))', [`order-service ${caller} ${key}`]);
  if (row?.[0] !== 't')
    throw new Problem('command-running', 'The same command is being done. Ask again in a moment.', { headers: { 'retry-after': '1' } });
}

/** Keeps an answer, over one that has expired, and removes some that have. */
export async function keepAnswer(
  client: PoolClient,
  table: string,
  { caller, key, fingerprint }: CommandKey,
  done: Done,
  keepMs: number,
): Promise<void> {
  await client.query(
    `INSERT INTO ${table} AS k (caller, key, fingerprint, status, etag, location, body, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, now() + $8 * interval '1 ms')
     ON CONFLICT (caller, key) DO UPDATE SET (fingerprint, status, etag, location, body, expires_at) =
       (excluded.fingerprint, excluded.status, excluded.etag, excluded.location, excluded.body, excluded.expires_at)`,
    [caller, key, fingerprint, done.status, done.etag, done.location, done.body, keepMs],
  );
  await client.query(
    `DELETE FROM ${table} WHERE (caller, key) IN (
       SELECT caller, key FROM ${table} WHERE expires_at <= now() ORDER BY expires_at LIMIT ${expiredMost} FOR UPDATE SKIP LOCKED)`,
  );
}
