import type { FindingEntry } from './entry.ts';

/** Reaching the source, and what a role may do and see there. */
export const accessFindings = {
  SERVER_UNREACHABLE: {
    scope: 'either',
    severity: 'error',
    cause: 'The legacy server {subject} does not answer role {role}: {detail}.',
    remedy:
      'Start the server, or correct legacyDb.host and legacyDb.port; open the network path from this host and from the Connect workers.',
    privilege: 'operator of the server or the network',
    blastRadius: 'Nothing can be captured; nothing else about this server could be examined.',
  },
  DATABASE_MISSING: {
    scope: 'either',
    severity: 'error',
    cause: 'The server answers, but has no database {subject}.',
    remedy: 'Correct legacyDb.database.',
    privilege: 'who edits pipeline.yaml',
    blastRadius: 'Nothing can be captured; nothing else could be examined.',
  },
  LOGIN_REFUSED: {
    scope: 'either',
    severity: 'error',
    cause: 'The server refuses the login of role {subject}: {detail}.',
    remedy:
      "Correct legacyDb.roles, or as a superuser: CREATE ROLE {sqlRole} LOGIN PASSWORD '…'; GRANT CONNECT ON DATABASE {database} TO {sqlRole}; and allow it in pg_hba.conf.",
    privilege: 'superuser, or a role with CREATEROLE; pg_hba.conf: operator of the server',
    blastRadius: 'This strategy does not start; nothing that only this role may see could be examined.',
  },
  ROLE_NOT_CONFIGURED: {
    scope: 'log',
    severity: 'unknown',
    cause: 'pipeline.yaml names no {subject}, so what that role may do could not be examined.',
    remedy: 'Add legacyDb.roles.{duty} with user and password.',
    privilege: 'who edits pipeline.yaml',
    blastRadius: 'Missing rights would show only when the connector starts.',
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
    blastRadius: 'The strategy stops at its first query of {subject} (for a connector: its snapshot fails).',
  },
  ROW_SECURITY: {
    scope: 'either',
    severity: 'warning',
    cause: 'Row-level security of {subject} applies to role {role} (policies: {policies}): rows that the policies hide are never read.',
    remedy: 'ALTER ROLE {sqlRole} BYPASSRLS; or: CREATE POLICY cdc_read ON {sqlTable} FOR SELECT TO {sqlRole} USING (true);',
    privilege: 'superuser for BYPASSRLS; owner of the table for a policy',
    blastRadius: 'Hidden rows of {subject} are missing in Kafka without any error; a connector misses them in its snapshot.',
  },
  PROBE_REFUSED: {
    scope: 'either',
    severity: 'unknown',
    cause: 'Role {role} could not look at {subject}: {detail}.',
    remedy: 'GRANT pg_monitor TO {sqlRole}; for the time of the examination, or run it again when the server is less busy.',
    privilege: 'superuser',
    blastRadius: 'What this look would have shown is not known; it is not known to be well.',
  },
  SOURCE_IS_STANDBY: {
    scope: 'either',
    severity: 'error',
    cause: 'The server {subject} is a standby.',
    remedy: 'Point legacyDb.host (and the connector’s database.hostname) at the primary.',
    privilege: 'who edits pipeline.yaml',
    blastRadius:
      'Polling is refused (a standby does not show the transactions that the fence needs). A connector cannot beat its heartbeat there, and no publication can be made.',
  },
} as const satisfies Record<string, FindingEntry>;
