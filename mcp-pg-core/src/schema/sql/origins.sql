-- The names of the tables beneath views and of their columns, in any schema.
-- $1: OIDs of tables (oid[]).
SELECT a.attrelid AS "table",
       n.nspname  AS schema,
       c.relname  AS name,
       a.attnum   AS number,
       a.attname  AS "column",
       a.atthasdef AND a.attgenerated = '' AS defaulted,
       a.attgenerated <> '' OR a.attidentity = 'a' AS read_only,
       a.attnotnull AND c.relkind <> 'f' AND NOT EXISTS (
         SELECT FROM pg_catalog.pg_constraint k
         WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
           AND k.conkey[1] = a.attnum) AS never_null,
       c.relhassubclass AND c.relkind <> 'p' AS has_heirs
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'f')
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
