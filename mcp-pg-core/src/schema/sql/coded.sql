-- For each statement text, whether it may change the session: it names a function that could. Which name is
-- meant where is PostgreSQL's to know; one too many costs a round trip. As in signature.sql, functions declared
-- STABLE count if their text speaks of it or is not there to be read. $1: the texts (text[]).
WITH function AS MATERIALIZED (
  SELECT DISTINCT lower(proname) AS name
  FROM pg_catalog.pg_proc
  WHERE oid < 16384 AND proname ~ '^(set_config|pg_(try_)?advisory_lock)'
     OR oid >= 16384
        AND prolang NOT IN (SELECT oid FROM pg_catalog.pg_language WHERE lanname IN ('c', 'internal'))
        AND (provolatile = 'v' OR prosrc = '' OR prosrc ~* '\mset(_config)?\M')
)
SELECT EXISTS (SELECT FROM function WHERE strpos(lower(statement.text), function.name) > 0) AS coded
FROM pg_catalog.unnest($1) WITH ORDINALITY AS statement (text, place)
ORDER BY statement.place
