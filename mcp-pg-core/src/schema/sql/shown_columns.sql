-- The names of the columns that a statement's rows show.
-- $1: OIDs of tables (oid[]); $2: numbers of their columns (int2[]).
SELECT n.nspname AS schema, c.relname AS name, a.attname AS column_name, a.attrelid AS oid, a.attnum AS number,
       a.atthasdef AND a.attgenerated = '' AS defaulted,
       EXISTS (SELECT FROM pg_catalog.pg_index k
               WHERE k.indrelid = a.attrelid AND k.indisprimary AND a.attnum = ANY (k.indkey)) AS in_key
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS shown (oid, number)
JOIN pg_catalog.pg_class c ON c.oid = shown.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = shown.oid AND a.attnum = shown.number

