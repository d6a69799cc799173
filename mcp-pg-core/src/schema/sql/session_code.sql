-- Whether reads and writes may run code of the database that changes the session, or that reads what is left in it; and
-- whether any of it reads the last number that a sequence gave.
WITH RECURSIVE own AS MATERIALIZED (
  -- User-defined functions. Those in C belong to extensions, and this server's own function only notifies. A STABLE
  -- function, as most in policies are, is assumed to change the session only if its text contains such a call or
  -- cannot be read.
  SELECT oid, pg_catalog.lower(proname) AS name,
         pg_catalog.lower(CASE prosrc WHEN '' THEN pg_catalog.to_jsonb(pg_proc) ->> 'prosqlbody' ELSE prosrc END) AS text,
         prorettype = 'pg_catalog.trigger'::pg_catalog.regtype AS triggered,
         provolatile = 'v' OR prosrc = ''
           OR prosrc ~* '\m(set|set_config|execute|currval|lastval|pg_(try_)?advisory_lock(_shared)?)\M' AS changes
  FROM pg_catalog.pg_proc
  WHERE oid >= 16384
    AND prolang NOT IN (SELECT oid FROM pg_catalog.pg_language WHERE lanname IN ('c', 'internal'))
    AND (proname <> 'rows_changed' OR pronamespace NOT IN (
      SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'mcp_pg'))
), uses (user_class, user_oid, class, oid) AS MATERIALIZED (
  -- What functions and operators use: by pg_depend, and by names in the texts of functions, which pg_depend does not
  -- cover.
  SELECT classid, objid, refclassid, refobjid
  FROM pg_catalog.pg_depend
  WHERE classid = ANY (ARRAY['pg_proc', 'pg_operator']::pg_catalog.regclass[])
    AND refclassid = ANY (ARRAY['pg_proc', 'pg_operator']::pg_catalog.regclass[]) AND refobjid >= 16384
  UNION
  SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, function.oid, 'pg_catalog.pg_proc'::pg_catalog.regclass, named.oid
  FROM own AS function
  CROSS JOIN pg_catalog.regexp_split_to_table(function.text, '\W+') AS word
  JOIN own AS named ON named.name = word
  WHERE NOT function.changes AND NOT named.triggered
  UNION
  SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, function.oid, 'pg_catalog.pg_proc'::pg_catalog.regclass, named.oid
  FROM own AS function
  JOIN own AS named ON named.name ~ '\W' AND pg_catalog.strpos(function.text, named.name) > 0
  WHERE NOT function.changes AND NOT named.triggered
), run (place, class, oid) AS (
  -- Where functions and operators are used, and what these use in turn. The planner underestimates the array, which
  -- keeps it from using JIT compilation. A domain's check runs wherever a value is cast to the domain, like its default,
  -- so its place is the type.
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
  -- User-defined operators and aggregates with the names of built-in ones, which statements may call by name.
  SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass, own.oid
  FROM own JOIN pg_catalog.pg_operator o ON o.oprcode = own.oid
  UNION
  SELECT 'pg_catalog.pg_aggregate'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass, own.oid
  FROM own
  JOIN pg_catalog.pg_aggregate a ON own.oid IN (a.aggtransfn, a.aggfinalfn)
  JOIN pg_catalog.pg_proc p ON p.oid = a.aggfnoid AND p.proname = ANY ('{count,sum,avg,min,max}'::pg_catalog.name[])
  UNION
  SELECT run.place, uses.class, uses.oid FROM run JOIN uses ON uses.user_class = run.class AND uses.user_oid = run.oid
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
), code (place, last_numbers) AS MATERIALIZED (
  SELECT run.place, false FROM run JOIN own USING (oid)
  WHERE run.class = 'pg_catalog.pg_proc'::pg_catalog.regclass AND own.changes
  UNION
  -- Built-in functions have no dependencies: set_config, those for session-level advisory locks, currval, lastval,
  -- pg_sequence_last_value.
  SELECT place, tree ~ ' :funcid (1575|2559|4032) ' FROM expression
  WHERE tree ~ ' :funcid (2078|288[0-36-9]|1575|2559|4032) '
)
SELECT EXISTS (SELECT FROM code
               -- Types, casts and operators are used by values that conditions compare with.
               WHERE place = ANY (ARRAY['pg_policy', 'pg_rewrite', 'pg_type', 'pg_cast', 'pg_amproc', 'pg_amop',
                                        'pg_operator', 'pg_aggregate']::pg_catalog.regclass[])) AS reads,
       EXISTS (SELECT FROM code) AS writes,
       EXISTS (SELECT FROM code WHERE last_numbers)
         OR EXISTS (
           -- Wherever they are called, since triggers may call them. The bodies of functions in standard SQL are trees,
           -- and a window function has a parenthesis after its name.
           SELECT FROM own
           WHERE text ~ '\m(currval|lastval|pg_sequence_last_value)\M|\mlast_value\M(?!\s*[(])|:funcid (1575|2559|4032) ')
           AS last_numbers
