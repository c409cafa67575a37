import * as z from 'zod';
import type { TableId } from '#change-events/index.ts';
import { publishableQuery, publishableTables, type PublishableTable } from '#connectors/postgres/facts/published-facts.ts';
import type { ServerFacts } from './server.ts';
import type { DoctorSession } from './session.ts';
import { tableText } from './tables.ts';

const slotSchema = z.object({
  name: z.string(),
  type: z.string(),
  plugin: z.string().nullable(),
  database: z.string().nullable(),
  temporary: z.boolean(),
  active: z.boolean(),
  activePid: z.number().nullable(),
  /** `role, application, address` of who reads it, as far as it may be seen. */
  reader: z.string().nullable(),
  /** reserved, extended, unreserved or lost; null before WAL was reserved. */
  walStatus: z.string().nullable(),
  safeWalBytes: z.number().nullable(),
  /** Postgres 17 and newer. */
  invalidationReason: z.string().nullish(),
  /** Whether standbys copy it; Postgres 17 and newer. */
  failover: z.boolean().nullish(),
  restartLsn: z.string().nullable(),
  confirmedFlushLsn: z.string().nullable(),
  retainedBytes: z.number(),
});

const publishedSchema = z.object({ table: tableText, filter: z.string().nullish(), columns: z.number(), allColumns: z.number() });

const publicationSchema = z.object({
  name: z.string(),
  operations: z.object({ insert: z.boolean(), update: z.boolean(), delete: z.boolean(), truncate: z.boolean() }),
  viaRoot: z.boolean(),
  /** Whether it publishes generated columns that are stored; Postgres 18. */
  stored: z.boolean(),
  tables: z.array(publishedSchema),
});

const roleSchema = z.object({
  name: z.string(),
  replication: z.boolean(),
  superuser: z.boolean(),
  mayCreateInDatabase: z.boolean(),
});

const replicationSchema = z.object({
  slots: z.array(slotSchema),
  roles: z.array(roleSchema),
  database: z.string(),
  hasCdcSchema: z.boolean(),
});

export type SlotFacts = z.output<typeof slotSchema>;
export type PublicationFacts = z.output<typeof publicationSchema>;
/** Slots of the server, and what roles may do. */
export type ReplicationFacts = z.output<typeof replicationSchema>;

/** A standby has no current write position; its replay position is near enough. */
const here = `CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END`;

/** Columns that only newer servers have are taken out of the row as JSON, so that the query is valid on all. */
const slots = `
  SELECT coalesce(json_agg(json_build_object(
      'name', s.slot_name, 'type', s.slot_type, 'plugin', s.plugin, 'database', s.database, 'temporary', s.temporary, 'active', s.active,
      'activePid', s.active_pid,
      'reader', (SELECT concat_ws(', ', a.usename, nullif(a.application_name, ''), a.client_addr) FROM pg_stat_activity a WHERE a.pid = s.active_pid),
      'walStatus', s.wal_status, 'safeWalBytes', s.safe_wal_size, 'invalidationReason', to_jsonb(s) -> 'invalidation_reason', 'failover', to_jsonb(s) -> 'failover',
      'restartLsn', s.restart_lsn, 'confirmedFlushLsn', s.confirmed_flush_lsn,
      'retainedBytes', coalesce(greatest(pg_wal_lsn_diff(${here}, s.restart_lsn), 0), 0)) ORDER BY s.slot_name), '[]')
  FROM pg_replication_slots s`;

const publications = `
  SELECT coalesce(json_agg(json_build_object(
      'name', p.pubname, 'viaRoot', p.pubviaroot, 'stored', coalesce(to_jsonb(p) ->> 'pubgencols', 'n') = 's',
      'operations', json_build_object('insert', p.pubinsert, 'update', p.pubupdate, 'delete', p.pubdelete, 'truncate', p.pubtruncate),
      'tables', (
        SELECT coalesce(json_agg(json_build_object('table', json_build_array(t.schemaname, t.tablename), 'filter', to_jsonb(t) ->> 'rowfilter',
            'columns', coalesce(jsonb_array_length(nullif(to_jsonb(t) -> 'attnames', 'null')), 0),
            'allColumns', (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = format('%I.%I', t.schemaname, t.tablename)::regclass
                             AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''))), '[]')
        FROM pg_publication_tables t WHERE t.pubname = p.pubname)
    ) ORDER BY p.pubname), '[]')
  FROM pg_publication p WHERE p.pubname = ANY ($1::text[])`;

/** Amazon RDS gives the right to replicate by membership instead of the attribute. */
const roles = `
  SELECT coalesce(json_agg(json_build_object(
      'name', r.rolname, 'superuser', r.rolsuper,
      'replication', r.rolreplication OR r.rolsuper OR EXISTS (
        SELECT FROM pg_roles g WHERE g.rolname = 'rds_replication' AND pg_has_role(r.oid, g.oid, 'MEMBER')),
      'mayCreateInDatabase', has_database_privilege(r.oid, current_database(), 'CREATE'))), '[]')
  FROM pg_roles r WHERE r.rolname = ANY ($1::text[])`;

const replicationQuery = `
  SELECT json_build_object('slots', (${slots}), 'roles', (${roles}), 'database', current_database(),
    'hasCdcSchema', EXISTS (SELECT FROM pg_namespace WHERE nspname = 'cdc'))`;

/** `names` that do not exist are left out of the answer. */
export function readReplication(session: DoctorSession, names: readonly string[]): Promise<ReplicationFacts> {
  return session.read(replicationQuery, replicationSchema, [[...names]]);
}

/**
 * Of `names`, the publications that there are. A query of its own because the server opens each published table for it (ACCESS SHARE),
 * and so waits where somebody else holds one whole.
 */
export function readPublications(session: DoctorSession, names: readonly string[]): Promise<readonly PublicationFacts[]> {
  return session.read(`SELECT (${publications})`, z.array(publicationSchema), [[...names]]);
}

/** What decides whether tables can be published without harm: those of `tables`, and all that the publications of `names` hold. Who owns them is judged apart. */
export function readPublishable(
  session: DoctorSession,
  server: ServerFacts,
  tables: readonly TableId[],
  names: readonly string[],
): Promise<readonly PublishableTable[]> {
  return session.read(publishableQuery(server.version), publishableTables, [JSON.stringify(tables), [...names], '']);
}
