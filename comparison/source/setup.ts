import type { TableId } from '#change-events/index.ts';
import type { TableShape } from '../canonical/shape.ts';
import { mapStrategiesInTurn, type PerStrategy } from '../strategy.ts';
import { quoteTable } from './catalogue.ts';
import type { Session } from './session.ts';

/** What a strategy needs in the source, as found there; each entry is a phrase for people. */
export type Setup = {
  /** Created for it. */
  readonly objects: readonly string[];
  /** Changed for it, from Postgres's defaults. */
  readonly settings: readonly string[];
  /** Attributes of its role beyond LOGIN. */
  readonly attributes: readonly string[];
  /** Rights of its role on tables: `SELECT on public.orders`. */
  readonly grants: readonly string[];
};

/** Reads what each strategy needed in the source; `roles` are the connector's and the pollers'. */
export async function readSetup(
  session: Session,
  shapes: readonly TableShape[],
  heartbeat: TableId,
  roles: PerStrategy<string>,
): Promise<PerStrategy<Setup>> {
  const tables = shapes.map(quoteTable);
  const objects = await session.rows(
    `SELECT 'replication slot ' || slot_name FROM pg_replication_slots WHERE database = current_database() AND slot_type = 'logical'
     UNION ALL
     SELECT DISTINCT 'publication ' || p.pubname FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid
      WHERE p.puballtables OR r.prrelid = ANY ($1::regclass[])
     UNION ALL
     SELECT 'table ' || c.oid::regclass FROM pg_class c WHERE c.oid = to_regclass($2)
     ORDER BY 1`,
    [tables, quoteTable(heartbeat)],
  );
  const settings = await session.rows(
    `SELECT 'wal_level = logical' WHERE current_setting('wal_level') = 'logical'
     UNION ALL
     SELECT 'REPLICA IDENTITY FULL on ' || c.oid::regclass FROM pg_class c WHERE c.oid = ANY ($1::regclass[]) AND c.relreplident = 'f'`,
    [tables],
  );
  const needed = { objects: list(objects), settings: list(settings) };
  return mapStrategiesInTurn(roles, async (role, strategy) => ({
    ...(strategy === 'log' ? needed : { objects: [], settings: [] }),
    ...(await readRole(session, role)),
  }));
}

async function readRole(session: Session, role: string): Promise<Pick<Setup, 'attributes' | 'grants'>> {
  const attributes = await session.rows(
    `SELECT a.name FROM pg_roles r
      CROSS JOIN LATERAL (VALUES ('SUPERUSER', r.rolsuper), ('REPLICATION', r.rolreplication), ('CREATEDB', r.rolcreatedb),
                                 ('CREATEROLE', r.rolcreaterole), ('BYPASSRLS', r.rolbypassrls)) AS a (name, held)
      WHERE r.rolname = $1 AND a.held`,
    [role],
  );
  const grants = await session.rows(
    `SELECT p.name || CASE WHEN has_table_privilege(r.oid, c.oid, p.name) THEN '' ELSE ' of some columns' END || ' on ' || n.nspname || '.' || c.relname
       FROM pg_roles r
       CROSS JOIN pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('REFERENCES'), ('TRIGGER')) AS p (name)
      WHERE r.rolname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
        AND (has_table_privilege(r.oid, c.oid, p.name)
             OR (p.name IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege(r.oid, c.oid, p.name)))
      ORDER BY p.name, 1`,
    [role],
  );
  return { attributes: list(attributes), grants: list(grants) };
}

function list(rows: readonly (readonly (string | null)[])[]): readonly string[] {
  return rows.map(([text]) => text ?? '');
}
