-- Functions and procedures of the configured schemas that the login may call, with their comments.
-- $1: names of schemas (text[]).
--
-- Filtered out: those of extensions, which their manuals describe; aggregates and window functions, which
-- only a query can use; trigger functions, which nobody calls.
SELECT n.nspname                                              AS schema,
       p.proname                                              AS name,
       pg_catalog.pg_get_function_identity_arguments(p.oid)   AS arguments,
       pg_catalog.pg_get_function_result(p.oid)               AS result,
       d.description                                          AS comment
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
LEFT JOIN pg_catalog.pg_description d
       ON d.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objoid = p.oid
WHERE n.nspname = ANY ($1)
  AND p.prokind IN ('f', 'p')
  AND p.prorettype NOT IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
  AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  AND coalesce(pg_catalog.has_function_privilege(p.oid, 'EXECUTE'), false)
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend e
    WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.objid = p.oid AND e.deptype = 'e')
ORDER BY n.nspname, p.proname, arguments
