/**
 * Types whose text, as Postgres gives it to the poller's session, is the whole value. Enums, domains, arrays, ranges and composites follow from what they are
 * made of; a base type that is not listed is refused at start by its name: what its text leaves out, nobody knows.
 */

/** Of pg_catalog. */
export const knownTypes: readonly string[] = [
  'int2', 'int4', 'int8', 'oid', 'xid', 'xid8', 'cid', 'tid', 'numeric', 'float4', 'float8', 'money', 'bool',
  'text', 'varchar', 'bpchar', 'name', 'char', 'bytea', 'bit', 'varbit', 'uuid', 'json', 'jsonb', 'jsonpath', 'xml', 'tsvector', 'tsquery',
  'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval', 'inet', 'cidr', 'macaddr', 'macaddr8',
  'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle', 'pg_lsn', 'pg_snapshot', 'txid_snapshot', 'refcursor', 'aclitem', 'int2vector', 'oidvector',
  'regclass', 'regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoperator', 'regprocedure', 'regrole', 'regtype',
]; // prettier-ignore

/** Of pg_catalog, refused: the first two by a name that several may have, the others because no text of theirs is read back. */
export const refusedTypes: readonly string[] = [
  'regproc', 'regoper', 'gtsvector', 'pg_node_tree', 'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list', 'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary',
]; // prettier-ignore

/** Of extensions, in whatever schema they are: by the extension's name and the type's. */
const knownExtensionTypes: readonly string[] = [
  'citext.citext', 'hstore.hstore', 'ltree.ltree', 'ltree.lquery', 'ltree.ltxtquery', 'cube.cube', 'intarray.query_int',
  'isn.ean13', 'isn.isbn', 'isn.isbn13', 'isn.ismn', 'isn.ismn13', 'isn.issn', 'isn.issn13', 'isn.upc',
  'postgis.geometry', 'postgis.geography', 'vector.vector', 'vector.halfvec', 'vector.sparsevec',
]; // prettier-ignore

const list = (names: readonly string[]): string => `ARRAY[${names.map((name) => `'${name}'`).join(', ')}]::text[]`;

/** {@link knownTypes} in SQL. */
export const knownTypesSql = list(knownTypes);

/**
 * A scalar: the name of a base type that is not listed above, among all that a type is made of; null where there is none. `type` is an SQL expression of
 * its oid. (A multirange's range has no column of its own before Postgres 14.)
 */
export function unknownPartSql(type: string): string {
  return `(
    WITH RECURSIVE part (oid) AS (
      SELECT ${type}
      UNION
      SELECT inner_type.oid FROM part p JOIN pg_type t ON t.oid = p.oid CROSS JOIN LATERAL (
        SELECT t.typbasetype WHERE t.typtype = 'd'
        UNION ALL SELECT e.oid FROM pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid
        UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE t.typtype IN ('r', 'm') AND t.oid::text IN (r.rngtypid::text, to_jsonb(r) ->> 'rngmultitypid')
      ) AS inner_type (oid)
    )
    SELECT min(format_type(t.oid, NULL))
    FROM part p JOIN pg_type t ON t.oid = p.oid JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typtype NOT IN ('d', 'e', 'c', 'r', 'm') AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid)
      AND NOT (n.nspname = 'pg_catalog' AND t.typname = ANY (${knownTypesSql}))
      AND NOT EXISTS (
        SELECT FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
        WHERE d.classid = 'pg_type'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.objid = t.oid AND d.deptype = 'e'
          AND x.extname || '.' || t.typname = ANY (${list(knownExtensionTypes)})))`;
}
