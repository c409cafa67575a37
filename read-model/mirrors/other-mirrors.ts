import type { Pool } from 'pg';
import { pause } from '#pipeline/index.ts';
import { qualified, queryText, text } from '../database.ts';
import type { Mirror } from './mirror.ts';

const lookEveryMs = 1000;

/**
 * Resolves when the model's list of mirrors is another one than `known` (one was added, dropped, made again, or is kept in another way), or its projections are. A
 * database that does not answer says nothing.
 *
 * @throws the signal's reason
 */
export async function untilOtherMirrors(
  pool: Pool,
  schema: string,
  { mirrors, fingerprint }: { readonly mirrors: readonly Mirror[]; readonly fingerprint: string },
  signal: AbortSignal,
): Promise<void> {
  const before = [...mirrors.map(({ identity }) => identity), fingerprint].toSorted().join('\n');
  for (;;) {
    await pause(lookEveryMs, signal);
    signal.throwIfAborted();
    const now = await readIdentities(pool, schema).catch(() => before);
    if (now !== before) return;
  }
}

async function readIdentities(pool: Pool, schema: string): Promise<string> {
  const rows = await queryText(
    pool,
    `SELECT ${identitySql('m')} FROM ${qualified(schema, 'mirrored_tables')} m UNION ALL SELECT projections FROM ${qualified(schema, 'model_version')}`,
  );
  return rows
    .map((row) => text(row, 0))
    .toSorted()
    .join('\n');
}

/** What makes a mirror another one; columns are followed without it. */
export function identitySql(alias: string): string {
  const parts = ['mirror_table', 'source_schema', 'source_table', 'deletes', 'history', 'follows', 'made_at'];
  return `jsonb_build_array(${parts.map((part) => `${alias}.${part}`).join(', ')})::text`;
}
