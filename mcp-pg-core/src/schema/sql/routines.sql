-- Functions and procedures of some schemas whose comments mark them as tools, with their arguments.
-- $1: names of schemas (text[]). $2: database roles (text[]); the empty name is the login.
--
-- Privileges do not filter: a role without EXECUTE does not have the tool.
SELECT n.nspname                                              AS schema,
       p.proname                                              AS name,
       pg_catalog.pg_get_function_identity_arguments(p.oid)   AS identity,
       p.prokind = 'p'                                        AS procedure,
       p.provolatile = 'v'                                    AS volatile,
       p.proisstrict                                          AS strict,
       p.prorettype = 'pg_catalog.record'::pg_catalog.regtype
         AND p.proargmodes IS NULL AND p.prokind = 'f'        AS untyped,
       -- Aggregates and window functions can only be used in a query, and trigger functions cannot be called.
       p.prokind NOT IN ('f', 'p')
         OR p.prorettype IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
                                                              AS uncallable,
       returned.namespace                                     AS row_schema,
       returned.name                                          AS row_table,
       returned.columns                                       AS row_columns,
       p.pronargdefaults::int                                 AS defaults,
       ARRAY(SELECT pg_catalog.pg_get_function_arg_default(p.oid, place)
             FROM pg_catalog.generate_series(1, pg_catalog.cardinality(coalesce(p.proallargtypes, p.proargtypes::oid[]))) place
             ORDER BY place)                                  AS expressions,
       coalesce(p.proargmodes::text[], '{}')                  AS modes,
       coalesce(p.proargnames, '{}')                          AS names,
       ARRAY(SELECT pg_catalog.format_type(a.type, -1)
             FROM pg_catalog.unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY a (type, place)
             ORDER BY a.place)                                AS types,
       ARRAY(SELECT t.typtype = 'p'
             FROM pg_catalog.unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY a (type, place)
             JOIN pg_catalog.pg_type t ON t.oid = a.type
             ORDER BY a.place)                                AS pseudo,
       ARRAY(SELECT r.name FROM pg_catalog.unnest($2) r (name)
             CROSS JOIN LATERAL (SELECT CASE r.name WHEN '' THEN current_user ELSE r.name::name END) c (role)
             WHERE pg_catalog.has_schema_privilege(c.role, n.oid, 'USAGE')
               AND pg_catalog.has_function_privilege(c.role, p.oid, 'EXECUTE')) AS executable_by,
       d.description                                          AS comment,
       pg_catalog.pg_get_userbyid(p.proowner)                 AS owner,
       -- Whoever may merely create functions in the schema must not be able to make tools.
       p.proowner = n.nspowner
         OR p.proowner = (SELECT b.datdba FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())
         OR EXISTS (SELECT FROM pg_catalog.pg_roles o
                    WHERE o.oid = p.proowner AND (o.rolsuper OR o.rolname = session_user)) AS vouched_for
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_description d
     ON d.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objoid = p.oid AND d.objsubid = 0
-- The table or view whose rows it returns.
LEFT JOIN LATERAL (
  SELECT s.nspname AS namespace, r.relname AS name,
         ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns
  FROM pg_catalog.pg_class r
  JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace
  WHERE r.reltype = p.prorettype AND r.relkind <> 'c'
) returned ON true
WHERE n.nspname = ANY ($1)
  AND d.description ~ '(^|\n)\s*@tool\M|\s@tool\s*(\n|$)'
ORDER BY n.nspname, p.proname, identity
