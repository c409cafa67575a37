/**
 * SQL that makes schema `evil`: a function, an operator, a type or a table of every name of pg_catalog that can be had twice. Whoever calls one of the
 * functions or operators gets an error that says so. In a session whose search_path begins with the schema, a statement that takes a name of pg_catalog for granted fails.
 */
export const shadowedNames = `
  CREATE SCHEMA evil;
  DO $do$
  DECLARE one record;
  BEGIN
    FOR one IN
      SELECT p.proname, p.proretset, format_type(p.prorettype, NULL) AS returns,
             (SELECT string_agg(format_type(a.type, NULL), ', ' ORDER BY a.at) FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, at)) AS takes
        FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace
    LOOP
      BEGIN
        EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s %s LANGUAGE plpgsql AS %L', one.proname, one.takes,
          CASE WHEN one.proretset THEN 'SETOF' END, one.returns, format('BEGIN RAISE EXCEPTION %L; END', 'evil.' || one.proname || ' was called'));
      EXCEPTION WHEN OTHERS THEN NULL;
      END;
    END LOOP;
    FOR one IN
      SELECT o.oprname, p.proname, format_type(o.oprright, NULL) AS rightarg,
             CASE WHEN o.oprleft <> 0 THEN format('LEFTARG = %s,', format_type(o.oprleft, NULL)) END AS leftarg
        FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode WHERE o.oprnamespace = 'pg_catalog'::regnamespace
    LOOP
      BEGIN
        EXECUTE format('CREATE OPERATOR evil.%s (%s RIGHTARG = %s, FUNCTION = evil.%I)', one.oprname, one.leftarg, one.rightarg, one.proname);
      EXCEPTION WHEN OTHERS THEN NULL;
      END;
    END LOOP;
    FOR one IN SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v') LOOP
      EXECUTE format('CREATE TABLE evil.%I ()', one.relname);
    END LOOP;
    FOR one IN SELECT typname FROM pg_catalog.pg_type t WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typelem = 0 LOOP
      EXECUTE format('CREATE TYPE evil.%I AS ENUM ()', one.typname);
    END LOOP;
  END
  $do$;
`;
