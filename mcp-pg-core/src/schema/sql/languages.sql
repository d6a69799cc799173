-- The text search configurations that callers may use: the built-in ones, and those of the configured schemas for
-- which the login has USAGE. $1: names of schemas (text[]).
SELECT CASE n.nspname WHEN 'pg_catalog' THEN '' ELSE n.nspname || '.' END || c.cfgname          AS name,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.cfgname)             AS identifier
FROM pg_catalog.pg_ts_config c
JOIN pg_catalog.pg_namespace n ON n.oid = c.cfgnamespace
WHERE (n.nspname = 'pg_catalog' OR n.nspname = ANY ($1))
  AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
ORDER BY n.nspname <> 'pg_catalog', c.cfgname
