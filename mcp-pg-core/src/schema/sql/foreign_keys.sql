-- The foreign keys of the listed tables.
-- $1: OIDs of tables (oid[]).
--
-- pg_constraint rather than information_schema: constraint names are unique only within a table, so its
-- views pair the wrong columns, and they took 60 s where this takes milliseconds. Filtered out:
--   * keys with a parent (conparentid): the copies that a key to a partitioned table has for each partition;
--   * temporal keys (PERIOD, PostgreSQL 18): their last column references by containment, not by "=".
--     They alone reference a key WITHOUT OVERLAPS, whose index is an exclusion index; the column
--     conperiod, which says so too, is unknown to earlier versions.
SELECT k.conrelid     AS "table",
       k.conname      AS name,
       k.conkey       AS columns,
       n.nspname      AS other_schema,
       r.relname      AS other_name,
       ARRAY(SELECT a.attname
             FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS part (number, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = part.number
             ORDER BY part.place) AS other_columns,
       k.condeferrable AS deferrable,
       d.description   AS comment
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
JOIN pg_catalog.pg_index i ON i.indexrelid = k.conindid AND NOT i.indisexclusion
LEFT JOIN pg_catalog.pg_description d
       ON d.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objoid = k.oid
WHERE k.conrelid = ANY ($1)
  AND k.contype = 'f'
  AND k.conparentid = 0
ORDER BY k.conrelid, k.conkey, k.conname
