import type { FindingEntry } from './entry.ts';

/** Reaching the source, and what a role may do and see there. */
export const accessFindings = {
  LEGACY_DB_UNREACHABLE: {
    scope: 'either',
    severity: 'error',
    cause: 'The legacy server {subject} does not answer role {role}: {detail}.',
    remedy: 'Start the server, or correct legacyDb.host and legacyDb.port. Open the network from this host and from the Connect workers.',
    privilege: 'operator of the server or the network',
    blastRadius: 'Nothing can be captured, and nothing else about this server could be checked.',
  },
  LEGACY_DB_MISSING: {
    scope: 'either',
    severity: 'error',
    cause: 'The server answers, but has no database {subject}.',
    remedy: 'Correct legacyDb.database.',
    privilege: 'who edits pipeline.yaml',
    blastRadius: 'Nothing can be captured, and nothing else could be checked.',
  },
  LEGACY_LOGIN_REFUSED: {
    scope: 'either',
    severity: 'error',
    cause: 'The server refuses the login of role {subject}: {detail}.',
    remedy:
      "Correct legacyDb.roles, or as a superuser: CREATE ROLE {sqlRole} LOGIN{replication} PASSWORD '…'; GRANT CONNECT ON DATABASE {database} TO {sqlRole}; and allow it in pg_hba.conf.",
    privilege: 'superuser, or a role with CREATEROLE; pg_hba.conf: operator of the server',
    blastRadius: 'This strategy does not start. What only this role may see could not be checked.',
  },
  ROLE_NOT_CONFIGURED: {
    scope: 'log',
    severity: 'unknown',
    cause: 'pipeline.yaml names no {subject}, so the rights of that role could not be checked.',
    remedy: 'Add legacyDb.roles.{duty} with user and password.',
    privilege: 'who edits pipeline.yaml',
    blastRadius: 'Missing rights show only when the connector starts.',
  },
  POOLER_BETWEEN: {
    scope: 'either',
    severity: 'error',
    cause: 'At {subject} a connection pooler answers, not the legacy database itself.',
    remedy:
      'Point legacyDb.host and port at the Postgres server itself. If the pooler is in session mode (pgbouncer: pool_mode = session), set legacyDb.pooler: session.',
    privilege: 'who edits pipeline.yaml',
    blastRadius:
      'The poller does not start, and most poolers do not let a connector read the log. Nothing else was examined through it: what one session sets there may hold for others.',
  },
  SCHEMA_USAGE_MISSING: {
    scope: 'either',
    severity: 'error',
    cause: 'Role {role} may not use schema {schema}, so it cannot read {subject}.',
    remedy: 'GRANT USAGE ON SCHEMA {schema} TO {sqlRole};',
    privilege: 'owner of the schema',
    blastRadius: 'The strategy stops at its first query of {subject}. The grant itself takes no lock on tables.',
  },
  SELECT_MISSING: {
    scope: 'either',
    severity: 'error',
    cause: 'Role {role} may not read {subject}.',
    remedy: 'GRANT SELECT{sqlColumns} ON {sqlTable} TO {sqlRole};',
    privilege: 'owner of the table',
    blastRadius: 'The poller leaves the table out. A connector fails at its snapshot of {subject}.',
  },
  ROW_SECURITY: {
    scope: 'either',
    severity: 'warning',
    cause: 'Row-level security of {subject} applies to role {role} (policies: {policies}): rows that the policies hide are never read.',
    remedy: 'ALTER ROLE {sqlRole} BYPASSRLS; or: CREATE POLICY cdc_read ON {sqlTable} FOR SELECT TO {sqlRole} USING (true);',
    privilege: 'superuser for BYPASSRLS; owner of the table for a policy',
    blastRadius:
      'A connector misses hidden rows of {subject} in its snapshot, without any error. The poller refuses the table. If a policy is switched on while the poller runs, the table waits.',
  },
  PROBE_REFUSED: {
    scope: 'either',
    severity: 'unknown',
    cause: 'Role {role} could not read {subject}: {detail}.',
    remedy: 'GRANT pg_monitor TO {sqlRole}; until doctor is done, or run it again when the server is less busy.',
    privilege: 'superuser',
    blastRadius: 'What this check would have shown is not known. It may be a problem.',
  },
  SOURCE_IS_STANDBY: {
    scope: 'either',
    severity: 'error',
    cause: 'The server {subject} is a standby.',
    remedy: 'Point legacyDb.host (and the connector’s database.hostname) at the primary.',
    privilege: 'who edits pipeline.yaml',
    blastRadius:
      'Polling is refused, because a standby does not show the transactions that the fence needs. A connector cannot write its heartbeat there, and nobody can create a publication.',
  },
} as const satisfies Record<string, FindingEntry>;
