-- For each statement text, whether it may change the session: it names something that runs code of people's own,
-- whatever that is declared, or a function of PostgreSQL's that does. Which name is meant where is PostgreSQL's to know;
-- one too many costs a round trip. What is written in C is an extension's. $1: the texts (text[]).
WITH RECURSIVE own AS MATERIALIZED (
  SELECT oid, proname FROM pg_catalog.pg_proc
  WHERE oid >= 16384
    AND prolang NOT IN (SELECT oid FROM pg_catalog.pg_language WHERE lanname IN ('c', 'internal'))
), used (oid) AS (
  -- What PostgreSQL notes on the use of functions by views, aggregates and operators, and of views by views; of its
  -- own functions it notes nothing: 2078 is set_config.
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
