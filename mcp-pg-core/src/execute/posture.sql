-- The login's rights beyond its grants, and other findings about the database: one row.
-- $1: the callers' database roles (text[]). $2: the configured schemas (text[]). $3: the types of visible columns (oid[]).
-- $4: views, also materialized (oid[]). $5: tables (oid[]). $6, $7: the audit table's schema and name (text), or null.
-- $8: the comment on roles that setup-sql made (text).
--
-- A superuser is a member of every role, so its memberships are left out.
WITH RECURSIVE above AS (
  SELECT inhrelid AS heir, inhparent AS parent FROM pg_catalog.pg_inherits
  UNION
  SELECT above.heir, i.inhparent FROM above JOIN pg_catalog.pg_inherits i ON i.inhrelid = above.parent
), open_heirs AS (
  SELECT h.oid, p.oid AS parent
  FROM above
  JOIN pg_catalog.pg_class h ON h.oid = above.heir AND NOT h.relrowsecurity
  JOIN pg_catalog.pg_class p ON p.oid = above.parent AND p.relrowsecurity
), read AS (
  -- The relations that each view reads directly.
  SELECT c.oid AS view, c.relowner AS owner, d.refobjid AS beneath,
         EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) o
                 WHERE o.option_name = 'security_invoker' AND o.option_value::bool) AS invoker
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_rewrite w ON w.ev_class = c.oid AND w.rulename = '_RETURN'
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> c.oid
), reached AS (
  -- The relations that each view reads, also through other views, and the owner as whom it reads; null if it reads as
  -- the caller.
  SELECT view, CASE WHEN NOT invoker THEN owner END AS owner, beneath FROM read WHERE view = ANY ($4)
  UNION
  SELECT up.view, CASE WHEN read.invoker THEN up.owner ELSE read.owner END, read.beneath
  FROM reached up JOIN read ON read.view = up.beneath
)
SELECT r.rolname::text                                    AS login,
       r.rolsuper OR own.rolsuper                         AS superuser,
       r.rolbypassrls OR own.rolbypassrls                 AS bypass_rls,
       r.rolcreaterole OR r.rolcreatedb OR own.rolcreaterole OR own.rolcreatedb
                                                          AS creates,
       pg_catalog.current_setting('server_version')       AS server_version,
       pg_catalog.pg_is_in_recovery()                     AS standby,
       ARRAY(SELECT m.rolname::text FROM pg_catalog.pg_roles m
             WHERE NOT r.rolsuper AND m.oid <> r.oid
               AND pg_catalog.pg_has_role(r.oid, m.oid, becoming.how)
             ORDER BY 1)                                  AS member_of,
       ARRAY(SELECT m.rolname::text FROM pg_catalog.pg_roles m
             WHERE NOT r.rolsuper AND m.oid <> r.oid
               AND pg_catalog.pg_has_role(r.oid, m.oid, becoming.how)
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles n
                               WHERE (n.rolname = ANY ($1) OR n.oid = own.oid AND n.oid <> r.oid)
                                 AND pg_catalog.pg_has_role(n.oid, m.oid, 'MEMBER'))
               -- A login of several databases has roles without rights in this one.
               AND (pg_catalog.shobj_description(m.oid, 'pg_authid') IS DISTINCT FROM $8 OR m.rolsuper OR m.rolbypassrls OR m.rolcreaterole OR m.rolcreatedb OR m.rolreplication
                    OR EXISTS (SELECT FROM pg_catalog.pg_shdepend d
                               JOIN pg_catalog.pg_database b ON b.datname = pg_catalog.current_database()
                               WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND d.refobjid = m.oid
                                 AND (d.dbid = b.oid
                                      OR d.dbid = 0 AND (d.objid = b.oid
                                           OR d.classid <> 'pg_catalog.pg_database'::pg_catalog.regclass))))
             ORDER BY 1)                                  AS needless_roles,
       ARRAY(SELECT n.rolname::text FROM pg_catalog.pg_roles n
             WHERE n.rolname = ANY ($1) AND (n.rolsuper OR n.rolbypassrls)
             ORDER BY 1)                                  AS powerful_roles,
       ARRAY(SELECT s.name FROM pg_catalog.unnest($2) AS s(name)
             WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n, pg_catalog.pg_roles u
                               WHERE n.nspname = s.name AND (u.oid IN (r.oid, own.oid) OR u.rolname = ANY ($1))
                                 AND pg_catalog.has_schema_privilege(u.oid, n.oid, 'USAGE')))
                                                          AS unusable_schemas,
       ARRAY(SELECT n.nspname::text FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
             WHERE n.nspname = ANY (pg_catalog.current_schemas(false))
               AND a.grantee = 0 AND a.privilege_type = 'CREATE'
             ORDER BY 1)                                  AS open_schemas,
       -- Each as "OID schema".
       ARRAY(SELECT t.oid || ' ' || pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_type t
             JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
             WHERE t.oid = ANY ($3)
               AND (n.nspname <> ALL (pg_catalog.current_schemas(true))
                    OR EXISTS (SELECT FROM pg_catalog.pg_roles u
                               WHERE u.rolname = ANY ($1) AND NOT pg_catalog.has_schema_privilege(u.oid, n.oid, 'USAGE'))))
                                                          AS unreached_types,
       -- In the tree of a view's query, only a WHERE clause (quals) follows the list of what is in FROM.
       ARRAY(SELECT v.ev_class::text FROM pg_catalog.pg_rewrite v
             JOIN pg_catalog.pg_class c ON c.oid = v.ev_class AND c.relkind = 'v'
             WHERE v.ev_class = ANY ($4) AND v.rulename = '_RETURN'
               AND pg_catalog.strpos(v.ev_action::text, ') :quals {') > 0
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) o
                               WHERE o.option_name = 'security_barrier' AND o.option_value::bool))
                                                          AS leaky_views,
       ARRAY(SELECT up.view::text FROM reached up
             JOIN pg_catalog.pg_class t ON t.oid = up.beneath AND t.relrowsecurity
             JOIN pg_catalog.pg_roles o ON o.oid = up.owner
             WHERE o.rolsuper OR o.rolbypassrls
               OR NOT t.relforcerowsecurity AND pg_catalog.pg_has_role(o.oid, t.relowner, 'USAGE')
             UNION
             SELECT up.view::text FROM reached up JOIN open_heirs h ON h.oid = up.beneath)
                                                          AS unbound_views,
       -- Each as "OID OID".
       ARRAY(SELECT h.oid || ' ' || h.parent FROM open_heirs h WHERE h.oid = ANY ($5))
                                                          AS open_heirs,
       ARRAY(SELECT pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, c.relname), ' and ' ORDER BY n.nspname)
             FROM pg_catalog.pg_class c
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = ANY ($2) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
             GROUP BY pg_catalog.concat(n.nspname, '.', c.relname)
             HAVING pg_catalog.count(*) > 1)              AS shared_names,
       NOT r.rolsuper AND EXISTS (
         SELECT FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $6 AND c.relname = $7
         JOIN pg_catalog.pg_roles m ON pg_catalog.pg_has_role(r.oid, m.oid, becoming.how || ', USAGE')
         WHERE pg_catalog.has_table_privilege(m.oid, c.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')
            OR pg_catalog.has_any_column_privilege(m.oid, c.oid, 'UPDATE')
            OR m.oid IN (c.relowner, n.nspowner))         AS may_change_audit,
       EXISTS (
         SELECT FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $6 AND c.relname = $7
         WHERE NOT pg_catalog.has_any_column_privilege(own.oid, c.oid, 'INSERT'))
                                                          AS lacks_audit,
       (SELECT s.name::text
        FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY s(name, place)
        WHERE s.name <> 'pg_catalog' AND s.name NOT LIKE 'pg\_temp\_%'
          AND s.place < pg_catalog.array_position(pg_catalog.current_schemas(true), 'pg_catalog')
        ORDER BY s.place LIMIT 1)                         AS searched_first
FROM pg_catalog.pg_roles r
-- Its sessions may begin as another role (ALTER ROLE ... SET role).
JOIN pg_catalog.pg_roles own ON own.rolname = current_user
-- Since PostgreSQL 16 a member may be one that cannot become the role; one with ADMIN OPTION can see to it.
CROSS JOIN (SELECT CASE WHEN pg_catalog.current_setting('server_version_num')::int < 160000 THEN 'MEMBER'
                        ELSE 'SET, MEMBER WITH ADMIN OPTION' END) AS becoming (how)
WHERE r.rolname = session_user
