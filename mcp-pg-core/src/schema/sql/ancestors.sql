-- The tables that the listed tables inherit from or are partitions of, at every level; the most distant first.
-- $1: OIDs of tables (oid[]).
WITH RECURSIVE above (heir, parent, distance) AS (
  SELECT inhrelid, inhparent, 1 FROM pg_catalog.pg_inherits WHERE inhrelid = ANY ($1)
  UNION
  SELECT above.heir, i.inhparent, above.distance + 1
  FROM above
  JOIN pg_catalog.pg_inherits i ON i.inhrelid = above.parent
)
SELECT above.heir AS "table", n.nspname AS schema, c.relname AS name
FROM above
JOIN pg_catalog.pg_class c ON c.oid = above.parent
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY above.distance DESC, above.parent
