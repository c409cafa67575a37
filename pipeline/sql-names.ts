/**
 * Names of a database's objects, and texts, as SQL takes them: one function a database. In its own statements Postgres' names are quoted by pg's escapeIdentifier;
 * in SQL that a person reads and runs by {@link postgresName}, which leaves the usual ones readable. Pure.
 */

type Table = { readonly schema: string; readonly table: string };

/** A name as MariaDB and MySQL take it, whatever sql_mode the session has. */
export function mariadbName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

export function mariadbTable({ schema, table }: Table): string {
  return `${mariadbName(schema)}.${mariadbName(table)}`;
}

/** A text as MariaDB and MySQL take it: a backslash means itself or not as sql_mode says, and so is never written. */
export function mariadbText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the characters that are meant
  if (!/[\\\u0000-\u001f]/.test(text)) return `'${text.replaceAll("'", "''")}'`;
  return `_utf8mb4 X'${Buffer.from(text).toString('hex')}'`;
}

/** An account, `cdc_poller@10.0.0.%` as the server writes it; a user whose host part is not known, with a place for it. */
export function mariadbAccount(account: string): string {
  const at = account.lastIndexOf('@');
  const parts = at < 0 ? [account, '…'] : [account.slice(0, at), account.slice(at + 1)];
  return parts.map((part) => (part.includes('\\') ? mariadbName(part) : mariadbText(part))).join('@');
}

/** A name as Postgres takes it; on one line, whatever is in it. */
export function postgresName(name: string): string {
  if (/^[a-z_][a-z0-9_]*$/.test(name) && !postgresWords.has(name)) return name;
  const quotes = name.replaceAll('"', '""');
  if (!/\p{Cc}/u.test(name)) return `"${quotes}"`;
  const escaped = quotes
    .replaceAll('\\', '\\\\')
    .replaceAll(/\p{Cc}/gu, (one) => `\\${(one.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`);
  return `U&"${escaped}"`;
}

/** What Postgres 18 does not take for a name everywhere: pg_get_keywords() but for catcode U. */
const postgresWords: ReadonlySet<string> = new Set(
  `all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char character check coalesce
  collate collation column concurrently constraint create cross current_catalog current_date current_role current_schema current_time current_timestamp
  current_user dec decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign freeze from full grant
  greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull join json json_array json_arrayagg
  json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value lateral leading least left like limit localtime
  localtimestamp merge_action national natural nchar none normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay
  placing position precision primary real references returning right row select session_user setof similar smallint some substring symmetric
  system_user table tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where
  window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable`.split(
    /\s+/,
  ),
);
