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
       -- The constraint of an ON CONFLICT target must be neither deferrable nor WITHOUT OVERLAPS.
       i.indimmediate AND NOT i.indisexclusion AS arbiter,
       -- Read through jsonb, because PostgreSQL 14 does not have the column.
       i.indisunique AND coalesce(pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct', '') = 'true' AS nulls_equal,
       -- The key's columns in order, 0 for an expression. INCLUDE columns follow them and are left out.
       (i.indkey::int2[])[:i.indnkeyatts - 1] AS columns,
       CASE WHEN i.indexprs IS NULL THEN '{}'::text[] ELSE
         ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, part.place::int4, true)
               FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS part (number, place)
               WHERE part.number = 0 AND part.place <= i.indnkeyatts ORDER BY part.place)
       END                  AS expressions,
       pg_catalog.pg_get_expr(i.indpred, i.indrelid, true) AS predicate,
       -- LIKE 'x%' can use an index in byte order: with a pattern operator class, or under the collation C (950) or
       -- POSIX (951), which may also be the database's (100). The provider is read through jsonb, because PostgreSQL
       -- 14 does not have the column.
       EXISTS (SELECT FROM pg_catalog.pg_opclass o
               WHERE o.oid = i.indclass[0] AND o.opcname LIKE '%\_pattern\_ops')
         OR i.indcollation[0] IN (950, 951)
         OR i.indcollation[0] = 100 AND
            (SELECT CASE coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c')
                      WHEN 'c' THEN d.datcollate IN ('C', 'POSIX') ELSE FALSE END
             FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
                            AS by_bytes,
       -- All columns that the index uses. Those in expressions and predicates are only in pg_depend; a reference to
       -- the whole row is only in the tree (varattno 0).
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
