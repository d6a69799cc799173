-- Settings for this transaction only: an empty search_path, so that names are printed with their schema; no JIT
-- compilation, which took a second for a database of 20 tables; and a longer statement_timeout than that of callers.
-- Also returns whether the database is a standby. The previous search_path is kept in a setting, because only
-- operators in its schemas can be written without a schema.
-- A database without an encoding refuses to send what is no UTF-8, unless it need not check it.
SELECT pg_catalog.pg_is_in_recovery() AS standby,
       pg_catalog.set_config('mcp_pg.searched', pg_catalog.current_schemas(true)::text, true),
       pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('jit', 'off', true),
       pg_catalog.set_config('statement_timeout', '60s', true),
       CASE pg_catalog.current_setting('server_encoding')
         WHEN 'SQL_ASCII' THEN pg_catalog.set_config('client_encoding', 'SQL_ASCII', true) END
