-- For each statement, whether it may change the session: it contains the name of an object that runs user-defined
-- code, whatever its volatility, or of a built-in function that changes the session. Names are not resolved: a false
-- positive costs one round trip. Functions in C belong to extensions. $1: the statements (text[]).
WITH RECURSIVE own AS MATERIALIZED (
  SELECT oid, proname FROM pg_catalog.pg_proc
  WHERE oid >= 16384
    AND prolang NOT IN (SELECT oid FROM pg_catalog.pg_language WHERE lanname IN ('c', 'internal'))
), used (oid) AS (
  -- Dependencies of views, aggregates and operators on functions, and of views on views. Dependencies on built-in
  -- functions are not recorded in pg_depend, so set_config (2078) is searched for in the query trees.
  SELECT oid FROM own
  UNION
  SELECT ev_class FROM pg_catalog.pg_rewrite
  WHERE oid >= 16384 AND pg_catalog.strpos(ev_action::text, ' :funcid 2078 ') > 0
  UNION
  SELECT coalesce(rule.ev_class, use.objid)
  FROM used
  JOIN pg_catalog.pg_depend AS use ON use.refobjid = used.oid AND use.deptype = 'n'
  LEFT JOIN pg_catalog.pg_rewrite AS rule
    ON use.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND rule.oid = use.objid
  WHERE use.classid = ANY (ARRAY['pg_proc', 'pg_operator', 'pg_rewrite']::pg_catalog.regclass[])
), name AS MATERIALIZED (
  SELECT pg_catalog.lower(proname) AS name FROM pg_catalog.pg_proc
  WHERE oid IN (SELECT oid FROM used) OR oid < 16384 AND proname ~ '^(set_config|pg_(try_)?advisory_lock)'
  UNION
  SELECT pg_catalog.lower(relname) FROM pg_catalog.pg_class WHERE oid IN (SELECT oid FROM used)
  UNION
  SELECT oprname FROM pg_catalog.pg_operator WHERE oid IN (SELECT oid FROM used)
)
SELECT EXISTS (SELECT FROM name WHERE pg_catalog.strpos(pg_catalog.lower(statement.text), name.name) > 0) AS coded
FROM pg_catalog.unnest($1) WITH ORDINALITY AS statement (text, place)
ORDER BY statement.place
