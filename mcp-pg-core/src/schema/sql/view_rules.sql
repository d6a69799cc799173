-- What the listed views select, and the views beneath them, as PostgreSQL keeps it.
-- $1: OIDs of tables (oid[]).
--
-- pg_depend tells which columns a view uses, but only the tree which of them it shows. Views beneath may lie
-- in any schema. Left out: a tree of more than a megabyte.
WITH RECURSIVE used (oid) AS (
  SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1) AND c.relkind IN ('v', 'm')
  UNION
  SELECT c.oid
  FROM used
  JOIN pg_catalog.pg_rewrite r ON r.ev_class = used.oid AND r.rulename = '_RETURN'
  JOIN pg_catalog.pg_depend d
    ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind IN ('v', 'm')
)
SELECT r.ev_class AS view, r.ev_action::text AS tree
FROM used
JOIN pg_catalog.pg_rewrite r ON r.ev_class = used.oid AND r.rulename = '_RETURN'
WHERE pg_catalog.pg_column_size(r.ev_action) < 1048576
