-- Whether reads and writes may run code of the database that changes the session.
WITH RECURSIVE own AS MATERIALIZED (
  -- What people wrote: in C are extensions' functions, and this server's own only notifies. What is declared STABLE, as
  -- most of what policies call is, changes the session if its text speaks of that or is not there to be read.
  SELECT oid, pg_catalog.lower(proname) AS name, pg_catalog.lower(prosrc) AS text,
         prorettype = 'pg_catalog.trigger'::pg_catalog.regtype AS triggered,
         provolatile = 'v' OR prosrc = ''
           OR prosrc ~* '\m(set|set_config|execute|pg_(try_)?advisory_lock(_shared)?)\M' AS changes
  FROM pg_catalog.pg_proc
  WHERE oid >= 16384
    AND prolang NOT IN (SELECT oid FROM pg_catalog.pg_language WHERE lanname IN ('c', 'internal'))
    AND (proname <> 'rows_changed' OR pronamespace NOT IN (
      SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'mcp_pg'))
), run (place, class, oid) AS (
  -- Where functions and operators are used, and what those use in turn: as PostgreSQL notes it, and by the names in their
  -- texts, of which it notes nothing. The array looks short to the planner, which would else compile all this.
  -- A check of a domain is run by whatever makes a value of it, as its default is: its place is the type.
  SELECT CASE WHEN classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND objid IN (
                SELECT oid FROM pg_catalog.pg_constraint WHERE contypid <> 0)
              THEN 'pg_catalog.pg_type'::pg_catalog.regclass ELSE classid END, refclassid, refobjid
  FROM pg_catalog.unnest(ARRAY(
    SELECT use
    FROM pg_catalog.pg_depend AS use
    WHERE classid = ANY (ARRAY['pg_policy', 'pg_rewrite', 'pg_attrdef', 'pg_constraint', 'pg_trigger', 'pg_class',
                               'pg_type', 'pg_cast', 'pg_amproc', 'pg_amop']::pg_catalog.regclass[])
      AND refclassid = ANY (ARRAY['pg_proc', 'pg_operator']::pg_catalog.regclass[]) AND refobjid >= 16384))
  UNION
  -- Operators and aggregates that statements name, and that people put beside PostgreSQL's own.
  SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass, own.oid
  FROM own JOIN pg_catalog.pg_operator o ON o.oprcode = own.oid
  UNION
  SELECT 'pg_catalog.pg_aggregate'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass, own.oid
  FROM own
  JOIN pg_catalog.pg_aggregate a ON own.oid IN (a.aggtransfn, a.aggfinalfn)
  JOIN pg_catalog.pg_proc p ON p.oid = a.aggfnoid AND p.proname = ANY ('{count,sum,avg,min,max}'::pg_catalog.name[])
  UNION
  SELECT run.place, used.class, used.oid
  FROM run, LATERAL (
    SELECT refclassid, refobjid
    FROM pg_catalog.pg_depend
    WHERE classid = run.class AND objid = run.oid
      AND refclassid = ANY (ARRAY['pg_proc', 'pg_operator']::pg_catalog.regclass[]) AND refobjid >= 16384
    UNION ALL
    SELECT run.class, named.oid
    FROM own AS function
    JOIN own AS named ON pg_catalog.strpos(function.text, named.name) > 0
    WHERE run.class = 'pg_catalog.pg_proc'::pg_catalog.regclass AND function.oid = run.oid
      AND NOT function.changes AND NOT named.triggered
      AND (named.name ~ '\W' OR function.text ~ pg_catalog.concat('\m', named.name, '\M'))
  ) AS used (class, oid)
), expression (place, tree) AS (
  SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass, pg_catalog.concat(polqual, polwithcheck) FROM pg_catalog.pg_policy
  UNION ALL
  SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, ev_action::text FROM pg_catalog.pg_rewrite WHERE oid >= 16384
  UNION ALL
  SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, adbin::text FROM pg_catalog.pg_attrdef
  UNION ALL
  SELECT CASE contypid WHEN 0 THEN 'pg_catalog.pg_constraint'::pg_catalog.regclass ELSE 'pg_catalog.pg_type'::pg_catalog.regclass END,
         conbin::text
  FROM pg_catalog.pg_constraint WHERE oid >= 16384
  UNION ALL
  SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, typdefaultbin::text FROM pg_catalog.pg_type WHERE oid >= 16384
  UNION ALL
  SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, tgqual::text FROM pg_catalog.pg_trigger
), code AS MATERIALIZED (
  SELECT run.place FROM run JOIN own USING (oid)
  WHERE run.class = 'pg_catalog.pg_proc'::pg_catalog.regclass AND own.changes
  UNION
  -- What is PostgreSQL's own has no dependencies: set_config, and the advisory locks of a session.
  SELECT place FROM expression WHERE tree ~ ' :funcid (2078|288[0-36-9]) '
)
SELECT EXISTS (SELECT FROM code
               -- Types, casts and operators are met by values that conditions compare with.
               WHERE place = ANY (ARRAY['pg_policy', 'pg_rewrite', 'pg_type', 'pg_cast', 'pg_amproc', 'pg_amop',
                                        'pg_operator', 'pg_aggregate']::pg_catalog.regclass[])) AS reads,
       EXISTS (SELECT FROM code) AS writes
