-- The check constraints of the listed tables.
-- $1: OIDs of tables (oid[]).
--
-- Only contype 'c': PostgreSQL 18 also lists NOT NULL here, which the columns tell already. System columns (tableoid
-- in a check) are not among the table's columns. The number 0 is the whole row, and stands for all columns.
SELECT k.conrelid    AS "table",
       k.conname     AS name,
       pg_catalog.pg_get_constraintdef(k.oid, true) AS definition,
       CASE WHEN 0 = ANY (k.conkey) THEN
         ARRAY(SELECT a.attnum FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = k.conrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
       ELSE
         ARRAY(SELECT part.number
               FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS part (number, place)
               WHERE part.number > 0
               ORDER BY part.place)
       END           AS columns,
       d.description AS comment
FROM pg_catalog.pg_constraint k
LEFT JOIN pg_catalog.pg_description d
       ON d.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objoid = k.oid
WHERE k.conrelid = ANY ($1)
  AND k.contype = 'c'
ORDER BY k.conrelid, k.conname
