-- One line of text that is another after any change of what the other queries here read, whether a trigger
-- tells of such changes, and whether reads and writes may run code that changes the session. $1: names of schemas
-- (text[]).
--
-- Every row of the catalogue bears the transaction that wrote it (xmin). Number and sum are others after any DDL,
-- whichever transaction commits first, and neither ANALYZE nor VACUUM moves them: they write in place. The
-- cheapest number that xmin gives is its age, which counts from now: hence the subtraction of a fixed one's.
-- Filtered out: temporary tables, which some applications make all the time, and what lies in other schemas;
-- but types count wherever they are, since columns use them from anywhere.
WITH named AS MATERIALIZED (
  SELECT array_agg(oid) AS schemas FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1)
), class AS MATERIALIZED (
  SELECT count(*) AS number, sum(pg_catalog.age(xmin)) AS ages,
         array_agg(oid) FILTER (WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'c')) AS tables
  FROM pg_catalog.pg_class WHERE relnamespace = ANY ((SELECT schemas FROM named)::oid[])
), rule AS MATERIALIZED (
  -- contypid: checks of domains. t: constraint triggers, which any write may set off.
  SELECT count(*) AS number, sum(pg_catalog.age(xmin)) AS ages, bool_or(contype = 't') AS triggers
  FROM pg_catalog.pg_constraint
  WHERE connamespace = ANY ((SELECT schemas FROM named)::oid[]) OR contypid <> 0 OR contype = 't'
), part (number, ages) AS (
  SELECT count(*), sum(pg_catalog.age(xmin)) FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1)
  UNION ALL
  SELECT number, ages FROM class
  UNION ALL
  -- A default that changes is taken from its column and given to it: pg_attrdef has nothing more to tell.
  SELECT count(*), sum(pg_catalog.age(xmin)) FROM pg_catalog.pg_attribute
  WHERE attrelid = ANY ((SELECT tables FROM class)::oid[]) AND attnum > 0
  UNION ALL
  SELECT number, ages FROM rule
  UNION ALL
  -- An index is in pg_class before it is complete, and no other row tells when it is.
  SELECT count(*), NULL FROM pg_catalog.pg_index WHERE NOT indisvalid
  UNION ALL
  -- tgconstraint has an index: it keeps the triggers of foreign keys, four for each, from being looked at.
  SELECT count(*), sum(pg_catalog.age(xmin)) FROM pg_catalog.pg_trigger
  WHERE tgconstraint = 0 AND NOT tgisinternal
  UNION ALL
  -- 16384 is the first OID that is not PostgreSQL's own.
  SELECT count(*), sum(pg_catalog.age(xmin)) FROM pg_catalog.pg_rewrite WHERE oid >= 16384
  UNION ALL
  SELECT count(*), sum(pg_catalog.age(xmin)) FROM pg_catalog.pg_proc
  WHERE pronamespace = ANY ((SELECT schemas FROM named)::oid[])
  UNION ALL
  SELECT count(*), sum(pg_catalog.age(xmin)) FROM pg_catalog.pg_type
  WHERE oid >= 16384 AND typtype <> 'c' AND typelem = 0
  UNION ALL
  SELECT count(*), sum(pg_catalog.age(xmin)) FROM pg_catalog.pg_enum
  UNION ALL
  SELECT count(*), sum(pg_catalog.age(xmin)) FROM pg_catalog.pg_description
  WHERE objoid >= 16384 OR objoid = ANY ((SELECT schemas FROM named)::oid[])
  UNION ALL
  SELECT count(*), sum(pg_catalog.age(xmin)) FROM pg_catalog.pg_auth_members
), volatile AS MATERIALIZED (
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
    AND (function.provolatile = 'v' OR function.prosrc = '' OR function.prosrc ~* '\mset(_config)?\M'
         OR EXISTS (SELECT FROM volatile
                    WHERE strpos(lower(function.prosrc), name) > 0
                      AND (name ~ '\W' OR function.prosrc ~* concat('\m', name, '\M'))))
  UNION
  -- What is PostgreSQL's own has no dependencies.
  SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass FROM pg_catalog.pg_policy
  WHERE concat(polqual, polwithcheck) ~ ' :funcid 2078 '
)
SELECT string_agg(concat_ws(':', number, ages - number * pg_catalog.age('3'::pg_catalog.xid)), ' ')
         AS signature,
       EXISTS (SELECT FROM pg_catalog.pg_event_trigger
               WHERE evtname = 'mcp_pg_schema' AND evtenabled IN ('O', 'A')) AS told,
       EXISTS (SELECT FROM code
               WHERE classid IN ('pg_catalog.pg_policy'::pg_catalog.regclass,
                                 'pg_catalog.pg_rewrite'::pg_catalog.regclass)) AS coded_reads,
       -- Triggers of constraints are internal; mcp_pg_rows only notifies.
       EXISTS (SELECT FROM pg_catalog.pg_trigger
               WHERE tgconstraint = 0 AND NOT tgisinternal AND tgname <> 'mcp_pg_rows')
         OR coalesce((SELECT triggers FROM rule), false)
         OR EXISTS (SELECT FROM code
                    WHERE classid IN ('pg_catalog.pg_policy'::pg_catalog.regclass,
                                      'pg_catalog.pg_rewrite'::pg_catalog.regclass,
                                      'pg_catalog.pg_attrdef'::pg_catalog.regclass,
                                      'pg_catalog.pg_constraint'::pg_catalog.regclass)) AS coded_writes
FROM part
