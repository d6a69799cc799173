-- Everything with rows that the login may use in some way, and what it may do there.
-- $1: names of schemas (text[]).
--
-- pg_class rather than information_schema.tables: that view has no OID, no materialised views, and no
-- estimates, and tells nothing of row-level security. Filtered out:
--   * partitions (relispartition): their rows are read and written through the partitioned table;
--   * indexes, sequences, composite types, TOAST: not relations with rows of their own to offer;
--   * relations on which the login holds no privilege that PostgreSQL could honour;
--   * views that read as whoever reads them (security_invoker), where the login may not read all that they do;
--   * two relations that a dot in a name gives one text, which no grant, mark or record could tell apart.
-- Every has_*_privilege answers NULL for a relation dropped since the snapshot: coalesced to "no".
WITH RECURSIVE invoking AS MATERIALIZED (
  SELECT c.oid
  FROM pg_catalog.pg_class c
  WHERE c.relkind = 'v' AND c.reloptions IS NOT NULL AND EXISTS (
    SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) o
    WHERE o.option_name = 'security_invoker' AND o.option_value::boolean)
), refused (oid) AS (
  -- The columns that a view uses are noted one by one, or else the relation as a whole.
  SELECT i.oid
  FROM invoking i
  JOIN pg_catalog.pg_rewrite r ON r.ev_class = i.oid AND r.rulename = '_RETURN'
  JOIN pg_catalog.pg_depend d
    ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> i.oid
  JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  WHERE NOT coalesce(
    CASE WHEN d.refobjsubid = 0 THEN pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
         ELSE pg_catalog.has_column_privilege(c.oid, d.refobjsubid::pg_catalog.int2, 'SELECT')
    END, false)
  UNION
  -- Beneath a view of any kind they read as its reader, too.
  SELECT v.oid
  FROM refused
  JOIN pg_catalog.pg_depend d
    ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = refused.oid
  JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND r.rulename = '_RETURN'
  JOIN pg_catalog.pg_class v ON v.oid = r.ev_class AND v.relkind = 'v'
)
SELECT *
FROM (
  SELECT c.oid,
         n.nspname               AS schema,
         c.relname               AS name,
         c.relkind::text         AS kind,
         d.description           AS comment,
         CASE
           WHEN c.relkind = 'v' THEN NULL
           -- Autovacuum never analyses a partitioned table itself: its leaves know, if all were analysed.
           WHEN c.relkind = 'p' AND c.reltuples < 0 THEN (
             SELECT CASE WHEN pg_catalog.bool_and(leaf.reltuples >= 0)
                         THEN pg_catalog.sum(leaf.reltuples::float8) END
             FROM pg_catalog.pg_partition_tree(c.oid) tree
             JOIN pg_catalog.pg_class leaf ON leaf.oid = tree.relid
             WHERE tree.isleaf)
           WHEN c.reltuples >= 0 THEN c.reltuples::float8
         END                     AS estimated_rows,
         EXISTS (SELECT FROM pg_catalog.pg_depend e
                 WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = c.oid AND e.deptype = 'e') AS of_extension,
         c.relrowsecurity        AS row_security,
         c.relforcerowsecurity   AS row_security_forced,
         pg_catalog.pg_get_userbyid(c.relowner) AS owned_by,
         pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owner,
         -- rolbypassrls is never inherited, so only the current role's own counts.
         (SELECT r.rolsuper OR r.rolbypassrls
          FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) AS bypasses_row_security,
         -- Bits of a trigger: 1 for each row, 2 before, 4 on insert, 16 on update.
         EXISTS (SELECT FROM pg_catalog.pg_trigger t
                 WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'
                   AND t.tgtype & 7 = 7) AS fills_rows,
         EXISTS (SELECT FROM pg_catalog.pg_trigger t
                 WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'
                   AND t.tgtype & 19 = 19) AS fills_updates,
         -- Rows of tables that inherit from it are read with its own, and its keys do not know them. Those of a partitioned
         -- table hold among its partitions; the chunks of a TimescaleDB hypertable, which has no rows of its own, share
         -- its keys out. relhassubclass may outlive the last child.
         c.relhassubclass AND c.relkind <> 'p' AND EXISTS (
           SELECT FROM pg_catalog.pg_inherits i
           JOIN pg_catalog.pg_class child ON child.oid = i.inhrelid
           JOIN pg_catalog.pg_namespace home ON home.oid = child.relnamespace
           WHERE i.inhparent = c.oid AND home.nspname <> '_timescaledb_internal') AS has_heirs,
         coalesce(pg_catalog.has_any_column_privilege(c.oid, 'SELECT'), false) AS can_select,
         coalesce(pg_catalog.has_table_privilege(c.oid, 'SELECT'), false) AS can_select_whole,
         (possible.events & ~ruled.events & beneath.events & 8) <> 0 AND permitted.commands ~ '[*a]'
           AND coalesce(pg_catalog.has_any_column_privilege(c.oid, 'INSERT'), false) AS can_insert,
         (possible.events & ~ruled.events & beneath.events & 4) <> 0 AND permitted.commands ~ '[*w]'
           AND coalesce(pg_catalog.has_any_column_privilege(c.oid, 'UPDATE'), false) AS can_update,
         (possible.events & ~ruled.events & beneath.events & 16) <> 0 AND permitted.commands ~ '[*d]'
           AND coalesce(pg_catalog.has_table_privilege(c.oid, 'DELETE'), false) AS can_delete
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_description d
         ON d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objoid = c.oid AND d.objsubid = 0
  -- Bits of the commands that the relation's kind allows: 4 update, 8 insert, 16 delete.
  CROSS JOIN LATERAL (
    SELECT CASE
             WHEN c.relkind IN ('r', 'p') THEN 28
             WHEN c.relkind = 'm' THEN 0
             -- Asking about a foreign table whose wrapper has no handler is an error, not a "no".
             WHEN c.relkind = 'f' AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_foreign_table f
               JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver
               JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw
               WHERE f.ftrelid = c.oid AND w.fdwhandler <> 0) THEN 0
             ELSE pg_catalog.pg_relation_is_updatable(c.oid, true)
           END AS events
  ) possible
  -- The same bits of the commands that rules replace by others which return no rows: PostgreSQL refuses RETURNING there.
  CROSS JOIN LATERAL (
    SELECT coalesce(pg_catalog.bit_or(replaced.event), 0) AS events
    FROM (
      SELECT 1 << (r.ev_type::text)::int AS event
      FROM pg_catalog.pg_rewrite r
      WHERE c.relhasrules AND r.ev_class = c.oid AND r.is_instead AND r.ev_type <> '1' AND r.ev_enabled IN ('O', 'A')
      GROUP BY r.ev_type
      HAVING NOT pg_catalog.bool_or(r.ev_action::text ~ ':returningList [(]')
    ) replaced
  ) ruled
  -- The same bits of the commands that the login may use on what an updatable view writes to as its caller.
  CROSS JOIN LATERAL (
    SELECT CASE
             WHEN c.oid IN (SELECT i.oid FROM invoking i) AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgtype & 64 = 64) THEN (
               SELECT coalesce(pg_catalog.bit_or(
                 CASE WHEN pg_catalog.has_any_column_privilege(b.oid, 'INSERT') THEN 8 ELSE 0 END
                 | CASE WHEN pg_catalog.has_any_column_privilege(b.oid, 'UPDATE') THEN 4 ELSE 0 END
                 | CASE WHEN pg_catalog.has_table_privilege(b.oid, 'DELETE') THEN 16 ELSE 0 END), 0)
               FROM pg_catalog.pg_rewrite r
               JOIN pg_catalog.pg_depend d
                 ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> c.oid
               JOIN pg_catalog.pg_class b ON b.oid = d.refobjid AND b.relkind IN ('r', 'p', 'v', 'f')
               WHERE r.ev_class = c.oid AND r.rulename = '_RETURN')
             ELSE 28
           END AS events
  ) beneath
  -- The commands that some policy permits, as pg_policy has them; no write passes row-level security without one.
  CROSS JOIN LATERAL (
    SELECT CASE
             WHEN pg_catalog.row_security_active(c.oid) THEN (
               SELECT pg_catalog.concat(pg_catalog.string_agg(p.polcmd::text, ''))
               FROM pg_catalog.pg_policy p
               WHERE p.polrelid = c.oid AND p.polpermissive AND EXISTS (
                 SELECT FROM pg_catalog.unnest(p.polroles) r (oid)
                 WHERE r.oid = 0 OR pg_catalog.pg_has_role(r.oid, 'USAGE')))
             ELSE '*'
           END AS commands
  ) permitted
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT c.relispartition
    AND n.nspname = ANY ($1)
    AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    AND NOT ((pg_catalog.strpos(n.nspname, '.') > 0 OR pg_catalog.strpos(c.relname, '.') > 0) AND EXISTS (
      SELECT FROM pg_catalog.pg_class o
      JOIN pg_catalog.pg_namespace s ON s.oid = o.relnamespace
      WHERE o.oid <> c.oid AND o.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT o.relispartition AND s.nspname = ANY ($1)
        AND pg_catalog.concat(s.nspname, '.', o.relname) = pg_catalog.concat(n.nspname, '.', c.relname)))
) relation
WHERE (can_select OR can_insert OR can_update OR can_delete)
  AND oid NOT IN (SELECT refused.oid FROM refused)
