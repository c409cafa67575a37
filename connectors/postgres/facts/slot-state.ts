import { Client, DatabaseError, type ClientConfig } from 'pg';
import * as z from 'zod';
import { formatTableId, type TableId } from '#change-events/index.ts';
import { CdcError, describeError, lacksPassword, sessionSql } from '#pipeline/index.ts';

const number = z.coerce.number();

const slotSchema = z.object({
  name: z.string(),
  active: z.boolean(),
  /** WAL that the source keeps for this slot, in bytes. Null when the slot has lost it. */
  retainedBytes: number.nullable(),
  /** WAL that may still be written before the slot is invalidated (max_slot_wal_keep_size); null: no limit. */
  safeBytes: number.nullable(),
  /** `reserved`, `extended`, `unreserved`, `lost`; null on servers that do not say. */
  walStatus: z.string().nullable(),
  /** Why Postgres 17+ invalidated it; null when it is valid. */
  invalidation: z.string().nullable(),
  /** Up to where its consumer has confirmed, `0/16B3748`. */
  confirmedLsn: z.string().nullable(),
  /** Whether it follows to a standby (17+); null on older servers. */
  failover: z.boolean().nullable(),
});

/** A logical replication slot as the server shows it now. */
export type SlotState = z.output<typeof slotSchema>;

/** What the source says about a connector: its slot (null: there is none of that name) and its heartbeat. */
export type SourceState = {
  readonly slot: SlotState | null;
  /** How long ago the connector last wrote its heartbeat, in ms by the source's clock; null: there is no heartbeat to read. */
  readonly beatAgeMs: number | null;
  /** `schema.table` of what the publication holds now; empty when there is no such publication. */
  readonly published: ReadonlySet<string>;
};

/** to_jsonb: some columns exist from Postgres 13, 16 or 17 on only. On a standby the received WAL is what counts. */
const slotQuery = `
  SELECT slot_name AS "name", active, confirmed_flush_lsn::text AS "confirmedLsn",
    pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn)::text AS "retainedBytes",
    to_jsonb(slot)->>'safe_wal_size' AS "safeBytes",
    to_jsonb(slot)->>'wal_status' AS "walStatus",
    to_jsonb(slot)->>'invalidation_reason' AS "invalidation",
    (to_jsonb(slot)->>'failover')::boolean AS "failover"
  FROM pg_replication_slots slot WHERE slot_name = $1`;

const publishedQuery = `SELECT schemaname AS schema, tablename AS table FROM pg_publication_tables WHERE pubname = $1`;

const beatQuery = 'SELECT extract(epoch FROM clock_timestamp() - beat_at) * 1000 AS age FROM cdc.heartbeat WHERE id = 1';

/**
 * Reads a slot and the heartbeat, as any role that may log in and SELECT cdc.heartbeat. Changes nothing.
 *
 * @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED
 */
export async function readSourceState(config: ClientConfig, slot: string, publication: string): Promise<SourceState> {
  return withSource(config, async (client) => {
    const { rows } = await client.query(slotQuery, [slot]);
    const tables = await client.query<TableId>(publishedQuery, [publication]);
    return {
      slot: rows.length === 0 ? null : slotSchema.parse(rows[0]),
      beatAgeMs: await readBeatAge(client),
      published: new Set(tables.rows.map(formatTableId)),
    };
  });
}

/** Runs `work` on a connection of its own. @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED */
export async function withSource<T>(config: ClientConfig, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ statement_timeout: 15_000, ...config });
  client.on('error', () => undefined);
  try {
    await connect(client, config);
    await client.query(sessionSql());
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Connects, or says to which server and as whom it could not. @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED */
export async function connect(client: Client, { host, port, user }: ClientConfig): Promise<void> {
  try {
    await client.connect();
  } catch (error) {
    const server = `${host ?? 'localhost'}:${port ?? 5432}`;
    const noPassword = lacksPassword(error);
    if (noPassword || (error instanceof DatabaseError && (error.code ?? '').startsWith('28'))) {
      const why = noPassword ? 'it asks for a password, and none is set' : describeError(error);
      throw new CdcError('LEGACY_LOGIN_REFUSED', `${server} refuses the login of ${user ?? ''}: ${why}`, { cause: error });
    }
    throw new CdcError('LEGACY_DB_UNREACHABLE', `cannot connect to the legacy database at ${server}: ${describeError(error)}`, {
      cause: error,
    });
  }
}

/** Null without the table, without its row, or without the right to read it. */
async function readBeatAge(client: Client): Promise<number | null> {
  try {
    const { rows } = await client.query<{ age: unknown }>(beatQuery);
    const age = z.coerce.number().safeParse(rows[0]?.age ?? Number.NaN);
    return age.success ? Math.max(0, Math.round(age.data)) : null;
  } catch (error) {
    if (error instanceof DatabaseError && ['42P01', '3F000', '42501'].includes(error.code ?? '')) return null;
    throw error;
  }
}
