-- The login that the demo serves with: it owns nothing and no privilege of its own lets it past a rule.
-- A role belongs to the whole cluster, which may have another sample's database already.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mcp_pg_demo') THEN
    CREATE ROLE mcp_pg_demo LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
  END IF;
END $$;
-- Up to PostgreSQL 14 everybody may make tables in it.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO mcp_pg_demo;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO mcp_pg_demo;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO mcp_pg_demo;

ANALYZE;
