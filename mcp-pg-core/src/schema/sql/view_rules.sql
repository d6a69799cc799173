-- The query trees of the listed views, and of the views beneath them.
-- $1: OIDs of tables (oid[]).
--
-- pg_depend tells which columns a view uses, but only the tree tells which of them it shows. Views beneath may be in
-- any schema. Left out: trees of more than a megabyte.
--
-- ON CONFLICT can use the keys of the table beneath only if PostgreSQL itself rewrites an insert into the view (bit
-- 8) and no other rule is involved.
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
SELECT r.ev_class AS view, r.ev_action::text AS tree,
       (pg_catalog.pg_relation_is_updatable(r.ev_class, false) & 8) <> 0 AND NOT EXISTS (
         SELECT FROM pg_catalog.pg_rewrite other WHERE other.ev_class = r.ev_class AND other.oid <> r.oid
       ) AND NOT EXISTS (
         SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = r.ev_class AND t.tgtype & 64 = 64
       ) AS inserts_beneath
FROM used
JOIN pg_catalog.pg_rewrite r ON r.ev_class = used.oid AND r.rulename = '_RETURN'
WHERE pg_catalog.pg_column_size(r.ev_action) < 1048576
