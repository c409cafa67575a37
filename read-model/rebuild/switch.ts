import { setTimeout as delay } from 'node:timers/promises';
import { escapeIdentifier, type Pool } from 'pg';
import { inTransaction, queryText, qualified, text, type Database } from '../database.ts';
import { holdersOf, lockWait, untilUnlocked } from '../locks.ts';
import { describeBehind } from './catch-up.ts';
import { readVersion, versionSchema } from './versions.ts';

export type SwitchSteps = {
  /** The candidate's own consumer must be ended by it: its tables have another name afterwards. */
  readonly beforeCommit: () => Promise<void>;
  /** Called again and again with what is waited for. */
  readonly onProgress: (waitsFor: string) => void;
  /** Called at each failed try with whom it waits for. */
  readonly onWait: (what: string) => void;
  readonly signal: AbortSignal;
};

/** How long the serving version may be held while the other one catches up with it: its consumer waits, its readers do not. */
const holdMs = 5000;
const lookEveryMs = 20;

/** On a busy machine a batch may take longer than the first tries wait: later ones wait longer, up to this many times as long. */
const longestTry = 5;

/**
 * Makes `candidate` the version that serves, atomically: one transaction renames both schemas. Before, the serving version's consumer is
 * held between two batches until the candidate has applied at least as much, so that no reader sees the model go back.
 *
 * Nothing of it locks a table that is read, whoever holds that and for how long. Its own locks keep writers out, so it asks for them a moment at a time, and
 * all of them before the candidate's consumer is ended: a try in vain changes nothing.
 *
 * Gives null, or, when the candidate did not catch up in time, in what it is behind; nothing has changed then.
 */
export async function switchTo(
  pool: Pool,
  model: string,
  candidate: string,
  { beforeCommit, onProgress, onWait, signal }: SwitchSteps,
): Promise<string | null> {
  const [served, next] = [qualified(model, 'applied_offsets'), qualified(candidate, 'applied_offsets')];
  let asked = served;
  onProgress('the serving version to end its batch');
  return untilUnlocked(
    {
      holders: () => holdersOf(pool, asked),
      onWait: (holders) => onWait(`${asked} to be free: ${holders}`),
      signal,
    },
    (tries) =>
      inTransaction(pool, model, async (client) => {
        await client.query(`SET LOCAL lock_timeout = ${Math.min(tries, longestTry) * lockWait.writersMs}`);
        const lock = async (table: string): Promise<void> => {
          asked = table;
          await client.query(`LOCK TABLE ${table} IN EXCLUSIVE MODE`);
        };
        // Whoever applies has written its position here first: this waits for it, and lets nobody begin. It is also what makes a waiting
        // writer look its tables up again afterwards, under the new names.
        await lock(served);
        const until = Date.now() + holdMs;
        for (;;) {
          const behind = await behindOf(client, model, candidate);
          if (behind === null) break;
          onProgress(`the offsets that the serving version has applied: ${behind}`);
          if (Date.now() > until) return behind;
          await delay(lookEveryMs);
        }
        onProgress('its consumer to end, and the schemas to be renamed');
        await lock(next);
        const { version } = await readVersion(client, model);
        const { version: nextVersion } = await readVersion(client, candidate);
        await client.query(`ALTER SCHEMA ${escapeIdentifier(model)} RENAME TO ${escapeIdentifier(versionSchema(model, version))}`);
        await client.query(`ALTER SCHEMA ${escapeIdentifier(candidate)} RENAME TO ${escapeIdentifier(model)}`);
        await client.query(`SELECT pg_notify('read_model_switched', $1)`, [`${model} ${nextVersion}`]);
        await beforeCommit();
        return null;
      }),
  );
}

/**
 * Of which partitions `candidate` has not applied what `model` has; null when there is none. Where the topic is another one by now (or ends
 * before what is applied) `model` halts, and its offset says nothing of the candidate's. An older program's version may have no ids and no
 * halts.
 */
async function behindOf(client: Database, model: string, candidate: string): Promise<string | null> {
  const [halts] = await queryText(client, 'SELECT to_regclass($1)', [qualified(model, 'halted_partitions')]);
  const replaced =
    halts?.[0] === null
      ? 'false'
      : `EXISTS (SELECT FROM ${qualified(model, 'halted_partitions')} h
                         WHERE h.topic = s.topic AND h.partition = s.partition AND h.event_offset >= s.next_offset
                           AND h.code = 'READ_MODEL_TOPIC_REPLACED' AND c.next_offset IS NOT NULL)`;
  const rows = await queryText(
    client,
    `SELECT s.topic || '/' || s.partition, s.next_offset - c.next_offset FROM ${qualified(model, 'applied_offsets')} s
      LEFT JOIN ${qualified(candidate, 'applied_offsets')} c USING (topic, partition)
      WHERE (c.next_offset IS NULL OR c.next_offset < s.next_offset)
        AND coalesce(to_jsonb(s) ->> 'topic_id' = to_jsonb(c) ->> 'topic_id', true)
        AND NOT ${replaced}`,
  );
  if (rows.length === 0) return null;
  return describeBehind(rows.map((row) => ({ place: text(row, 0), missing: typeof row[1] === 'string' ? BigInt(row[1]) : null })));
}
