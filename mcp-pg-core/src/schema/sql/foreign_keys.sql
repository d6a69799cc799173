-- The foreign keys of the listed tables.
-- $1: OIDs of tables (oid[]).
--
-- pg_constraint rather than information_schema: constraint names are unique only within a table, so its
-- views pair the wrong columns, and they took 60 s where this takes milliseconds. Filtered out:
--   * keys with a parent (conparentid): the copies that a key to a partitioned table has for each partition;
--   * temporal keys (PERIOD, PostgreSQL 18): their last column references by containment, not by "=".
--     They alone reference a key WITHOUT OVERLAPS, whose index is an exclusion index; the column
--     conperiod, which says so too, is unknown to earlier versions.
--
-- A partitioned table also gets the keys of its partitions, as logical keys: each partition declares its own, and
-- some may not have it. If partitions refer from the same columns to different keys, none is added.
WITH of_partitions AS (
  SELECT p.oid AS "table", p.relname, k.confrelid, k.confkey, k.conindid, k.confdeltype,
         ARRAY(SELECT own.attnum
               FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS part (number, place)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = part.number
               JOIN pg_catalog.pg_attribute own ON own.attrelid = p.oid AND own.attname = a.attname
               ORDER BY part.place) AS columns
  FROM pg_catalog.pg_class p
  CROSS JOIN LATERAL pg_catalog.pg_partition_tree(p.oid) tree
  JOIN pg_catalog.pg_constraint k ON k.conrelid = tree.relid
  WHERE p.oid = ANY ($1)
    AND p.relkind = 'p'
    AND tree.level > 0
    AND k.contype = 'f'
    AND k.conparentid = 0
), keys AS (
  SELECT k.conrelid AS "table", k.conname AS name, k.conkey AS columns, k.confrelid, k.confkey, k.conindid,
         k.condeferrable AS deferrable, k.confdeltype = 'c' AS cascades, false AS logical, d.description AS comment
  FROM pg_catalog.pg_constraint k
  LEFT JOIN pg_catalog.pg_description d
         ON d.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objoid = k.oid
  WHERE k.conrelid = ANY ($1)
    AND k.contype = 'f'
    AND k.conparentid = 0
  UNION ALL
  -- The name that PostgreSQL would give to such a key.
  SELECT "table",
         pg_catalog.left(pg_catalog.concat_ws('_', relname, (
           SELECT pg_catalog.string_agg(a.attname, '_' ORDER BY part.place)
           FROM pg_catalog.unnest(columns) WITH ORDINALITY AS part (number, place)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = "table" AND a.attnum = part.number)), 58) || '_fkey',
         columns, pg_catalog.min(confrelid), pg_catalog.min(confkey), pg_catalog.min(conindid), false,
         pg_catalog.bool_or(confdeltype = 'c'), true, NULL
  FROM of_partitions
  GROUP BY "table", relname, columns
  HAVING pg_catalog.count(DISTINCT (confrelid, confkey)) = 1
)
SELECT k."table", k.name, k.columns, k.deferrable, k.cascades, k.logical, k.comment,
       n.nspname AS other_schema,
       r.relname AS other_name,
       ARRAY(SELECT (SELECT a.attname FROM pg_catalog.pg_attribute a
                     WHERE a.attrelid = k.confrelid AND a.attnum = part.number)
             FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS part (number, place)
             ORDER BY part.place) AS other_columns
FROM keys k
JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
JOIN pg_catalog.pg_index i ON i.indexrelid = k.conindid AND NOT i.indisexclusion
ORDER BY k."table", k.columns, k.name
