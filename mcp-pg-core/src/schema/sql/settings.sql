-- For this transaction alone: names are printed with their schema whatever the login's search_path,
-- no catalogue query is compiled, which took a second for a database of 20 tables, and the bound of callers' statements
-- is not theirs.
-- Whether the database is a standby is told along with it.
-- The schemas searched before are noted: only operators found there can be written without one.
SELECT pg_catalog.pg_is_in_recovery() AS standby,
       pg_catalog.set_config('mcp_pg.searched', pg_catalog.current_schemas(true)::text, true),
       pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('jit', 'off', true),
       pg_catalog.set_config('statement_timeout', '60s', true)
