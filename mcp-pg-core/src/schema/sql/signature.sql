-- A line of text that is another after any change of what the other queries here read, and whether a trigger tells of
-- such changes. $1: names of schemas (text[]). $2: the transaction from which on to count (text); none: the first one
-- that has not ended. It comes back as since.
--
-- Every row of the catalogue bears the transaction that wrote it (xmin). What was added or changed since bears a
-- young one; what was removed, the number of rows tells. Neither ANALYZE nor VACUUM moves them: they write in place.
-- The cheapest number that xmin gives is its age. To look at nothing else of a row is much cheaper than to read its
-- columns, so where the number does not matter, only the young are read.
-- Filtered out: temporary tables, which some applications make all the time, and what lies in other schemas;
-- but types, functions, policies and comments count wherever they are.
WITH named AS MATERIALIZED (
  SELECT pg_catalog.min(oid) AS first, pg_catalog.array_agg(oid) AS schemas FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1)
), beginning AS MATERIALIZED (
  -- bigint: of rows that were written two thousand million transactions ago, the age is negative, and counts as young.
  SELECT since, pg_catalog.age(since)::bigint AS age
  FROM coalesce($2::pg_catalog.xid,
                pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.xid) AS since
), young_column AS MATERIALIZED (
  SELECT attrelid, attnum, pg_catalog.age(xmin) FROM pg_catalog.pg_attribute
  WHERE pg_catalog.age(xmin) <= (SELECT age FROM beginning)
), few (age) AS (
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1)
  UNION ALL
  -- A dropped column's row stays, and says so. A default that changes is taken from its column and given to it:
  -- pg_attrdef has nothing more to tell. c: composite types.
  SELECT age FROM young_column
  WHERE attnum > 0 AND EXISTS (
    SELECT FROM pg_catalog.pg_class
    WHERE oid = attrelid
      AND (relkind = 'c'
           OR relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace = ANY ((SELECT schemas FROM named)::oid[])))
  UNION ALL
  -- An index is in pg_class before it is complete, and no other row tells when it is.
  SELECT NULL FROM pg_catalog.pg_index WHERE NOT indisvalid
  UNION ALL
  -- tgconstraint has an index: it keeps the triggers of foreign keys, four for each, from being looked at.
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_trigger WHERE tgconstraint = 0 AND NOT tgisinternal
  UNION ALL
  -- 16384 is the first OID that is not PostgreSQL's own.
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_rewrite WHERE oid >= 16384
  UNION ALL
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_proc WHERE oid >= 16384
  UNION ALL
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_policy
  UNION ALL
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_type WHERE oid >= 16384 AND typtype <> 'c' AND typelem = 0
  UNION ALL
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_enum
  UNION ALL
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_inherits
  UNION ALL
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_auth_members
  UNION ALL
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_ts_config WHERE oid >= 16384
), written (number, young) AS (
  SELECT pg_catalog.count(*), pg_catalog.sum((SELECT age FROM beginning) - age + 1) FILTER (WHERE age <= (SELECT age FROM beginning))
  FROM few
  UNION ALL
  -- Each of the large ones is counted where it is read: to pass its rows on costs as much again. Nearly all are in the
  -- first schema, and to compare one OID is cheaper than a list.
  SELECT pg_catalog.count(*), pg_catalog.sum((SELECT age FROM beginning) - pg_catalog.age(xmin) + 1)
                     FILTER (WHERE pg_catalog.age(xmin) <= (SELECT age FROM beginning))
  FROM pg_catalog.pg_class
  WHERE relnamespace = (SELECT first FROM named) OR relnamespace = ANY ((SELECT schemas FROM named)::oid[])
  UNION ALL
  -- contypid: checks of domains.
  SELECT pg_catalog.count(*), pg_catalog.sum((SELECT age FROM beginning) - pg_catalog.age(xmin) + 1)
                     FILTER (WHERE pg_catalog.age(xmin) <= (SELECT age FROM beginning))
  FROM pg_catalog.pg_constraint
  WHERE connamespace = (SELECT first FROM named) OR connamespace = ANY ((SELECT schemas FROM named)::oid[])
    OR contypid <> 0
  UNION ALL
  SELECT pg_catalog.count(*), pg_catalog.sum((SELECT age FROM beginning) - pg_catalog.age(xmin) + 1)
                     FILTER (WHERE pg_catalog.age(xmin) <= (SELECT age FROM beginning))
  FROM pg_catalog.pg_description
)
SELECT beginning.since::text AS since,
       -- Transactions are numbered in a circle: long before it closes, all is read anew; so it is once a standby is promoted.
       pg_catalog.concat_ws(' ', beginning.age / 1000000000, rows.number, rows.young, roles.unlike,
                            pg_catalog.pg_is_in_recovery()) AS written,
       EXISTS (SELECT FROM pg_catalog.pg_event_trigger
               WHERE evtname = 'mcp_pg_schema' AND evtenabled IN ('O', 'A')) AS notifies
FROM beginning
CROSS JOIN (
  SELECT pg_catalog.sum(number) AS number, pg_catalog.sum(young) AS young FROM written
) AS rows
CROSS JOIN (
  SELECT pg_catalog.string_agg(pg_catalog.concat_ws(':', oid, rolsuper, rolbypassrls, rolinherit), ',' ORDER BY oid) AS unlike
  FROM pg_catalog.pg_roles
  WHERE (rolsuper OR rolbypassrls OR NOT rolinherit) AND pg_catalog.pg_has_role(oid, 'MEMBER')
) AS roles
