-- The indexes of the listed tables; primary and unique keys are among them, under their constraint's name.
-- $1: OIDs of tables (oid[]).
--
-- Filtered out: indexes that are not valid (a failed or running CREATE INDEX CONCURRENTLY, or a partitioned
-- table's index that some partition lacks), for neither a plan nor ON CONFLICT can count on them.
SELECT i.indrelid           AS "table",
       c.relname            AS name,
       m.amname             AS method,
       i.indisunique        AS "unique",
       i.indisprimary       AS "primary",
       CASE WHEN i.indisexclusion THEN
         (SELECT pg_catalog.pg_get_constraintdef(x.oid, true) FROM pg_catalog.pg_constraint x
          WHERE x.conindid = i.indexrelid AND x.conrelid = i.indrelid AND x.contype IN ('p', 'u', 'x'))
       END                  AS exclusion,
       -- A deferrable constraint or a WITHOUT OVERLAPS one cannot be an ON CONFLICT target.
       i.indimmediate AND NOT i.indisexclusion AS arbiter,
       -- Through jsonb, because the column is unknown to PostgreSQL 14.
       i.indisunique AND coalesce(pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct', '') = 'true' AS nulls_equal,
       -- The key's columns in order, 0 for an expression; INCLUDE columns come after them and are cut off.
       (i.indkey::int2[])[:i.indnkeyatts - 1] AS columns,
       CASE WHEN i.indexprs IS NULL THEN '{}'::text[] ELSE
         ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, part.place::int4, true)
               FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS part (number, place)
               WHERE part.number = 0 AND part.place <= i.indnkeyatts ORDER BY part.place)
       END                  AS expressions,
       pg_catalog.pg_get_expr(i.indpred, i.indrelid, true) AS predicate,
       -- LIKE 'x%' needs the order of bytes: an operator class of its own, or the collation C (950) or POSIX (951), which may
       -- be the database's (100). The provider through jsonb, because the column is unknown to PostgreSQL 14.
       EXISTS (SELECT FROM pg_catalog.pg_opclass o
               WHERE o.oid = i.indclass[0] AND o.opcname LIKE '%\_pattern\_ops')
         OR i.indcollation[0] IN (950, 951)
         OR i.indcollation[0] = 100 AND
            (SELECT CASE coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c')
                      WHEN 'c' THEN d.datcollate IN ('C', 'POSIX') ELSE FALSE END
             FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
                            AS by_bytes,
       -- Every column that it speaks of: those of expressions and predicates are known to pg_depend alone, but where
       -- these speak of the row as a whole, only the tree says so (varattno 0).
       CASE WHEN i.indexprs IS NULL AND i.indpred IS NULL THEN i.indkey::int2[] ELSE
         ARRAY(SELECT part.number FROM pg_catalog.unnest(i.indkey::int2[]) AS part (number)
               WHERE part.number > 0
               UNION
               SELECT d.refobjsubid::int2 FROM pg_catalog.pg_depend d
               WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
                 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = i.indrelid
                 AND d.refobjsubid > 0
               UNION
               SELECT a.attnum FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = i.indrelid AND a.attnum > 0 AND NOT a.attisdropped
                 AND pg_catalog.strpos(pg_catalog.concat(i.indexprs, i.indpred), ' :varattno 0 ') > 0)
       END AS mentions,
       d.description        AS comment
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = c.relam
LEFT JOIN pg_catalog.pg_constraint k
       ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u')
LEFT JOIN pg_catalog.pg_description d
       ON d.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objoid = k.oid
WHERE i.indrelid = ANY ($1)
  AND i.indisvalid
  AND i.indislive
ORDER BY i.indrelid, c.relname
