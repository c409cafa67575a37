import { escapeLiteral } from 'pg';
import { CdcError, postgresName, type OrdersConfig } from '#pipeline/index.ts';
import { qualified, queryText, type Database } from '#read-model/index.ts';
import { needlessRights } from '../../service-role.ts';

/** The service's role in the legacy database: what it is granted, its own table, and whether a role is no more and no less than that. */

/** The tables of the sample that commands change. */
export const ordersTable = 'public.orders';
export const itemsTable = 'public.order_items';
const keysTable = 'idempotency_keys';

type RoleAsked = Pick<OrdersConfig, 'user' | 'schema'> & { readonly database: string };

export function keysTableOf({ schema }: Pick<OrdersConfig, 'schema'>): string {
  return qualified(schema, keysTable);
}

/** SQL that makes the role. For whoever may create roles. */
export function createRoleSql({ user }: Pick<RoleAsked, 'user'>, password: string): readonly string[] {
  return [`CREATE ROLE ${postgresName(user)} LOGIN PASSWORD ${escapeLiteral(password)}`];
}

/**
 * SQL that grants the role what it needs and nothing else, and makes the service's own schema. For the owner of the tables and the database. Repeatable; it
 * takes no lock that a statement of the application waits for. The table has a primary key, so that a publication of all tables does not refuse its deletes.
 */
export function grantsSql(asked: RoleAsked): readonly string[] {
  const [role, schema, keys] = [postgresName(asked.user), postgresName(asked.schema), keysTableOf(asked)];
  return [
    `GRANT CONNECT ON DATABASE ${postgresName(asked.database)} TO ${role}`,
    `GRANT USAGE ON SCHEMA public TO ${role}`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ${ordersTable}, ${itemsTable} TO ${role}`,
    `GRANT USAGE ON SEQUENCE public.orders_id_seq, public.order_items_id_seq TO ${role}`,
    `CREATE SCHEMA IF NOT EXISTS ${schema}`,
    `CREATE TABLE IF NOT EXISTS ${keys} (
  caller text NOT NULL,
  key text NOT NULL,
  fingerprint text NOT NULL,
  status integer NOT NULL,
  etag text,
  location text,
  body text,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (caller, key)
)`,
    `CREATE INDEX IF NOT EXISTS idempotency_keys_expires_at ON ${keys} (expires_at)`,
    `GRANT USAGE ON SCHEMA ${schema} TO ${role}`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ${keys} TO ${role}`,
  ];
}

/**
 * Asks as the role itself.
 *
 * @throws CdcError ORDER_SERVICE_ROLE_TOO_STRONG when it may change more than orders, ORDER_SERVICE_GRANT_MISSING when it may not do what commands need
 */
export async function requireWriter(database: Database, asked: Pick<OrdersConfig, 'schema'>): Promise<void> {
  const keys = keysTableOf(asked);
  const [row] = await queryText(
    database,
    `SELECT current_user,
            concat_ws(', ', ${needlessRights},
              (SELECT 'may change ' || min(format('%I.%I', n.nspname, c.relname)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname !~ '^(pg_|information_schema$)' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                  AND c.oid IS DISTINCT FROM to_regclass($1) AND c.oid IS DISTINCT FROM to_regclass($2) AND c.oid IS DISTINCT FROM to_regclass($3)
                  AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))),
            (SELECT string_agg(needed || ' on ' || name, ', ' ORDER BY name, needed)
               FROM unnest(ARRAY[$1, $2, $3]::text[]) AS name, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS needed
              WHERE to_regclass(name) IS NULL OR NOT has_table_privilege(to_regclass(name), needed))
       FROM pg_roles r WHERE r.rolname = current_user`,
    [ordersTable, itemsTable, keys],
  );
  const [role, more, missing] = row ?? [];
  if (more !== '')
    throw new CdcError('ORDER_SERVICE_ROLE_TOO_STRONG', `role ${role} ${more}: the order service needs a role for orders alone`);
  if (typeof missing === 'string') throw new CdcError('ORDER_SERVICE_GRANT_MISSING', `role ${role} lacks ${missing}`);
}
