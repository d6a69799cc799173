-- The columns of the listed tables that the login may use in some way.
-- $1: OIDs of tables (oid[]).
--
-- pg_attribute rather than information_schema.columns: that view took 170-320 ms on 1,008 tables, leaves
-- out materialised views, and hides defaults from logins that do not own the table. Filtered out:
--   * system columns (attnum < 1) and dropped ones, which stay in the catalogue without a type;
--   * columns without any privilege. A privilege on the table covers all of its columns, so columns are
--     asked one by one only where there is none.
WITH relation AS MATERIALIZED (
  SELECT c.oid,
         c.relkind,
         coalesce(pg_catalog.has_table_privilege(c.oid, 'SELECT'), false) AS can_select,
         coalesce(pg_catalog.has_table_privilege(c.oid, 'INSERT'), false) AS can_insert,
         coalesce(pg_catalog.has_table_privilege(c.oid, 'UPDATE'), false) AS can_update,
         -- An INSTEAD OF trigger or rule replaces the command, and takes every column of the view.
         -- tgtype bits: 64 INSTEAD OF, 4 INSERT, 16 UPDATE; ev_type: 3 INSERT, 2 UPDATE.
         c.relkind = 'v' AND (
           EXISTS (SELECT FROM pg_catalog.pg_trigger t
                   WHERE t.tgrelid = c.oid AND t.tgtype & 68 = 68)
           OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r
                      WHERE r.ev_class = c.oid AND r.ev_type = '3' AND r.is_instead)) AS replaces_insert,
         c.relkind = 'v' AND (
           EXISTS (SELECT FROM pg_catalog.pg_trigger t
                   WHERE t.tgrelid = c.oid AND t.tgtype & 80 = 80)
           OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r
                      WHERE r.ev_class = c.oid AND r.ev_type = '2' AND r.is_instead)) AS replaces_update
  FROM pg_catalog.pg_class c
  WHERE c.oid = ANY ($1)
)
SELECT a.attrelid             AS "table",
       a.attnum               AS number,
       a.attname              AS name,
       a.atttypid             AS type,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type_name,
       a.attnotnull           AS not_null,
       l.oid                  AS collation,
       l.collisdeterministic  AS deterministic,
       -- Since PostgreSQL 18, NOT NULL is a constraint that may be NOT VALID for existing rows.
       a.attnotnull AND r.relkind IN ('r', 'p') AND NOT EXISTS (
         SELECT FROM pg_catalog.pg_constraint k
         WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
           AND k.conkey[1] = a.attnum) AS never_null,
       a.attidentity::text    AS identity,
       a.attgenerated <> ''   AS generated,
       -- A domain's default applies to columns without one.
       -- A default has no columns in it. With the table's OID, its printing would wait for locks on the table.
       coalesce(pg_catalog.pg_get_expr(e.adbin, CASE WHEN a.attgenerated <> '' THEN e.adrelid ELSE 0 END, true),
                CASE WHEN a.attidentity = '' AND a.attgenerated = '' THEN y.typdefault END) AS expression,
       -- nextval needs a privilege on the sequence; identity columns do not.
       CASE WHEN e.oid IS NULL OR a.attidentity <> '' THEN false ELSE EXISTS (
         SELECT FROM pg_catalog.pg_depend k
         JOIN pg_catalog.pg_class s ON s.oid = k.refobjid
         WHERE k.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND k.objid = e.oid
           AND k.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
           AND CASE WHEN s.relkind = 'S'
                    THEN NOT coalesce(pg_catalog.has_sequence_privilege(s.oid, 'USAGE, UPDATE'), true)
                    ELSE false END)
       END                    AS default_refused,
       -- Since PostgreSQL 15, the dependencies are those of the default expression; before, those of the column.
       CASE WHEN a.attgenerated <> '' THEN ARRAY(
         SELECT DISTINCT k.refobjsubid::pg_catalog.int2
         FROM pg_catalog.pg_depend k
         WHERE k.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
           AND k.refobjid = a.attrelid AND k.refobjsubid > 0 AND k.refobjsubid <> a.attnum
           AND (k.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND k.objid = e.oid
                OR k.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND k.objid = a.attrelid
                   AND k.objsubid = a.attnum))
       ELSE '{}' END          AS generated_from,
       d.description          AS comment,
       granted.can_select,
       granted.can_insert AND (r.relkind <> 'v' OR r.replaces_insert OR auto.updatable) AS can_insert,
       granted.can_update AND (r.relkind <> 'v' OR r.replaces_update OR auto.updatable) AS can_update
FROM relation r
JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_catalog.pg_type y ON y.oid = a.atttypid AND y.typtype = 'd'
LEFT JOIN pg_catalog.pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
LEFT JOIN pg_catalog.pg_description d
       ON d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.objoid = a.attrelid AND d.objsubid = a.attnum
CROSS JOIN LATERAL (
  SELECT r.can_select
           OR coalesce(pg_catalog.has_column_privilege(r.oid, a.attnum, 'SELECT'), false) AS can_select,
         r.can_insert
           OR coalesce(pg_catalog.has_column_privilege(r.oid, a.attnum, 'INSERT'), false) AS can_insert,
         r.can_update
           OR coalesce(pg_catalog.has_column_privilege(r.oid, a.attnum, 'UPDATE'), false) AS can_update
) granted
CROSS JOIN LATERAL (
  SELECT r.relkind = 'v'
           AND coalesce(pg_catalog.pg_column_is_updatable(r.oid, a.attnum, false), false) AS updatable
) auto
WHERE granted.can_select OR granted.can_insert OR granted.can_update
ORDER BY a.attrelid, a.attnum
