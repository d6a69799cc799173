-- Whether reads and writes may run code of the database that changes the session.
WITH volatile AS MATERIALIZED (
  SELECT lower(proname) AS name FROM pg_catalog.pg_proc
  WHERE oid >= 16384 AND provolatile = 'v' AND prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype
    AND prolang NOT IN (SELECT oid FROM pg_catalog.pg_language WHERE lanname IN ('c', 'internal'))
), code AS MATERIALIZED (
  -- Where functions are used that may change the session. Those declared STABLE, as most of what policies call is,
  -- count if their text speaks of it, names a function that may, or is not there to be read (BEGIN ATOMIC); those in C
  -- are extensions'.
  SELECT DISTINCT use.classid
  FROM pg_catalog.pg_proc AS function
  JOIN pg_catalog.pg_depend AS use
    ON use.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND use.refobjid = function.oid
  WHERE function.oid >= 16384
    AND function.prolang NOT IN (SELECT oid FROM pg_catalog.pg_language WHERE lanname IN ('c', 'internal'))
    -- This server's own, which only notifies.
    AND (function.proname <> 'rows_changed' OR function.pronamespace NOT IN (
      SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'mcp_pg'))
    AND (function.provolatile = 'v' OR function.prosrc = '' OR function.prosrc ~* '\mset(_config)?\M'
         OR EXISTS (SELECT FROM volatile
                    WHERE strpos(lower(function.prosrc), name) > 0
                      AND (name ~ '\W' OR function.prosrc ~* concat('\m', name, '\M'))))
  UNION
  -- What is PostgreSQL's own has no dependencies.
  SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass FROM pg_catalog.pg_policy
  WHERE concat(polqual, polwithcheck) ~ ' :funcid 2078 '
  UNION
  SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass FROM pg_catalog.pg_rewrite
  WHERE oid >= 16384 AND strpos(ev_action::text, ' :funcid 2078 ') > 0
)
SELECT EXISTS (SELECT FROM code
               WHERE classid IN ('pg_catalog.pg_policy'::pg_catalog.regclass,
                                 'pg_catalog.pg_rewrite'::pg_catalog.regclass)) AS reads,
       EXISTS (SELECT FROM code
               WHERE classid IN ('pg_catalog.pg_policy'::pg_catalog.regclass,
                                 'pg_catalog.pg_rewrite'::pg_catalog.regclass,
                                 'pg_catalog.pg_attrdef'::pg_catalog.regclass,
                                 'pg_catalog.pg_constraint'::pg_catalog.regclass,
                                 'pg_catalog.pg_trigger'::pg_catalog.regclass)) AS writes
