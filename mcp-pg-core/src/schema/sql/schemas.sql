-- The configured schemas that exist and that the login may use: without USAGE nothing inside can be named.
-- $1: names of schemas (text[]).
SELECT n.nspname                          AS name,
       pg_catalog.quote_ident(n.nspname)  AS quoted,
       d.description                      AS comment
FROM pg_catalog.pg_namespace n
LEFT JOIN pg_catalog.pg_description d
       ON d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.objoid = n.oid
WHERE n.nspname = ANY ($1)
  AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
