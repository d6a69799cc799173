-- A text that differs after any change of what the other queries here read, and whether a trigger notifies of such
-- changes. $1: names of schemas (text[]). $2: the transaction from which to count (text); null for the first one that
-- has not ended. It is returned as since.
--
-- Every row of the catalogue has the transaction that wrote it (xmin). Rows added or changed since have a recent
-- xmin; removed rows show in the number of rows. Neither ANALYZE nor VACUUM changes xmin here, because they write in
-- place. The age is the cheapest number to compute from xmin. Reading nothing else of a row is much cheaper than
-- reading its columns, so where the number of rows does not matter, only recent ones are read. Filtered out:
-- temporary tables, which some applications create all the time, and relations in other schemas. Types, functions,
-- policies, comments, defaults, checks and index expressions count in every schema.
WITH named AS MATERIALIZED (
  SELECT pg_catalog.min(oid) AS first, pg_catalog.array_agg(oid) AS schemas FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1)
), beginning AS MATERIALIZED (
  -- bigint: rows that were written two billion transactions ago have a negative age, which counts as recent.
  SELECT since, pg_catalog.age(since)::bigint AS age
  FROM coalesce($2::pg_catalog.xid,
                pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.xid) AS since
), young_column AS MATERIALIZED (
  SELECT attrelid, attnum, atthasdef, pg_catalog.age(xmin) FROM pg_catalog.pg_attribute
  WHERE pg_catalog.age(xmin) <= (SELECT age FROM beginning)
), young_index AS MATERIALIZED (
  SELECT indrelid, indexprs IS NOT NULL OR indpred IS NOT NULL AS computes, pg_catalog.age(xmin) FROM pg_catalog.pg_index
  WHERE pg_catalog.age(xmin) <= (SELECT age FROM beginning)
), few (age) AS (
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1)
  UNION ALL
  -- A dropped column keeps its row, which is marked as dropped. A changed default also updates the column's row, so
  -- pg_attrdef is not needed. c: composite types. Defaults, checks and index expressions run in other schemas, too: there,
  -- views, partitions, children and foreign keys have tables written.
  SELECT age FROM young_column
  WHERE attnum > 0 AND EXISTS (
    SELECT FROM pg_catalog.pg_class
    WHERE oid = attrelid
      AND (relkind = 'c'
           OR relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace = ANY ((SELECT schemas FROM named)::oid[])
           OR atthasdef AND relpersistence <> 't'))
  UNION ALL
  -- An index is in pg_class before it is valid, and no other row shows when it becomes so.
  SELECT NULL FROM pg_catalog.pg_index WHERE NOT indisvalid
  UNION ALL
  SELECT age FROM young_index
  WHERE computes AND EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = indrelid AND relpersistence <> 't')
  UNION ALL
  -- tgconstraint is indexed, so the four triggers of each foreign key need not be read.
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_trigger WHERE tgconstraint = 0 AND NOT tgisinternal
  UNION ALL
  -- 16384 is the first OID that is not built in.
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
  UNION ALL
  -- What runs a function wherever a type is used: session_code.sql reads these.
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_cast WHERE oid >= 16384
  UNION ALL
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_operator WHERE oid >= 16384
  UNION ALL
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_amproc WHERE oid >= 16384
  UNION ALL
  SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_amop WHERE oid >= 16384
), written (number, young) AS (
  SELECT pg_catalog.count(*), pg_catalog.sum((SELECT age FROM beginning) - age + 1) FILTER (WHERE age <= (SELECT age FROM beginning))
  FROM few
  UNION ALL
  -- The large catalogues are counted where they are read, because passing on their rows costs as much again. Nearly
  -- all relations are in the first schema, and comparing one OID is cheaper than a list.
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
    OR contype = 'c' AND connamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname LIKE 'pg\_temp%')
  UNION ALL
  SELECT pg_catalog.count(*), pg_catalog.sum((SELECT age FROM beginning) - pg_catalog.age(xmin) + 1)
                     FILTER (WHERE pg_catalog.age(xmin) <= (SELECT age FROM beginning))
  FROM pg_catalog.pg_description
)
SELECT beginning.since::text AS since,
       -- Transaction IDs wrap around. Long before, and when a standby is promoted, everything is read anew.
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
