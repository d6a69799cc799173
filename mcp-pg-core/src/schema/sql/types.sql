-- The types of the listed tables' columns, and, recursively, the types that those are made of.
-- $1: OIDs of tables (oid[]). $2: OIDs of more types (oid[]).
--
-- Every column's type is listed, of hidden columns too: which columns the login may use is decided once,
-- in columns.sql, and an unused type costs nothing. An array is a type that is printed as one (array_out):
-- int2vector, oidvector, name and point have an element type too, but another text form.
WITH RECURSIVE used (oid) AS (
  SELECT a.atttypid
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
  UNION
  SELECT pg_catalog.unnest($2)
  UNION
  SELECT part.oid
  FROM used
  JOIN pg_catalog.pg_type t ON t.oid = used.oid
  CROSS JOIN LATERAL (
    SELECT t.typbasetype WHERE t.typtype = 'd'
    UNION ALL
    SELECT t.typelem
    WHERE t.typtype = 'b' AND t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc
    UNION ALL
    SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
    UNION ALL
    SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid
    UNION ALL
    SELECT a.atttypid FROM pg_catalog.pg_attribute a
    WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ) part (oid)
),
-- Types with a default operator class: a hash one has "=", a btree one an order too, if it goes by "<" (hstore's
-- does not). Those of an extension in a schema that is not searched are left out: conditions could not name their
-- operators.
comparable AS MATERIALIZED (
  SELECT o.opcintype AS oid, pg_catalog.bool_or(m.amname = 'btree' AND less.oprname = '<') AS ordering
  FROM pg_catalog.pg_opclass o
  JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod
  JOIN pg_catalog.pg_namespace n ON n.oid = o.opcnamespace
  LEFT JOIN pg_catalog.pg_amop a
         ON a.amopfamily = o.opcfamily AND a.amoplefttype = o.opcintype AND a.amoprighttype = o.opcintype
        AND a.amopstrategy = 1 AND m.amname = 'btree'
  LEFT JOIN pg_catalog.pg_operator less ON less.oid = a.amopopr
  WHERE o.opcdefault AND m.amname IN ('btree', 'hash')
    AND n.nspname = ANY (pg_catalog.current_setting('mcp_pg.searched')::pg_catalog.name[])
  GROUP BY o.opcintype
),
-- Types with a distance: the geometric ones have it, text with pg_trgm, vectors with their extension. That of two lines fails
-- on some.
measurable AS MATERIALIZED (
  SELECT o.oprleft AS oid
  FROM pg_catalog.pg_operator o
  JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
  WHERE o.oprname = '<->' AND o.oprleft = o.oprright AND o.oprleft <> 'pg_catalog.line'::pg_catalog.regtype
    AND o.oprresult IN ('pg_catalog.float4'::pg_catalog.regtype, 'pg_catalog.float8'::pg_catalog.regtype)
    AND n.nspname = ANY (pg_catalog.current_setting('mcp_pg.searched')::pg_catalog.name[])
)
SELECT t.oid,
       -- With the modifier -1, so that `bpchar` is not printed as `character`, which would mean one character.
       pg_catalog.format_type(t.oid, -1)   AS name,
       d.description                       AS comment,
       CASE
         -- Before arrays: a domain over one is printed as one too.
         WHEN t.typtype = 'd' THEN 'domain'
         WHEN t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc THEN 'array'
         WHEN t.typtype = 'e' THEN 'enum'
         WHEN t.typtype = 'c' THEN 'composite'
         WHEN t.typtype = 'r' THEN 'range'
         WHEN t.typtype = 'm' THEN 'multirange'
         ELSE 'base'
       END                                 AS kind,
       coalesce(
         CASE t.typtype
           WHEN 'd' THEN t.typbasetype
           WHEN 'r' THEN (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid)
           WHEN 'm' THEN (SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid)
           ELSE t.typelem
         END, 0)                           AS inner_type,
       CASE t.typtype WHEN 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END AS base_name,
       coalesce(e.typdelim, ',')::text     AS delimiter,
       t.typnotnull                        AS not_null,
       ARRAY(SELECT l.enumlabel FROM pg_catalog.pg_enum l
             WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder) AS labels,
       ARRAY(SELECT pg_catalog.pg_get_constraintdef(k.oid, true) FROM pg_catalog.pg_constraint k
             WHERE k.contypid = t.oid AND k.contype = 'c' ORDER BY k.conname) AS checks,
       ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a
             WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attnum) AS field_names,
       ARRAY(SELECT a.atttypid FROM pg_catalog.pg_attribute a
             WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attnum) AS field_types,
       ARRAY(SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a
             WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attnum) AS field_type_names,
       -- Of fields that have none, 0: nor is there one with this OID.
       ARRAY(SELECT a.attcollation FROM pg_catalog.pg_attribute a
             WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attnum) AS field_collations,
       ARRAY(SELECT coalesce(l.collisdeterministic, true) FROM pg_catalog.pg_attribute a
             LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
             WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attnum) AS field_deterministic,
       -- NULL: neither "=" nor an order; false: "=" alone; true: both. As the server does, take the class of
       -- a type to which this one is binary-coercible: varchar has that of text, cidr that of inet.
       (SELECT pg_catalog.bool_or(c.ordering)
        FROM comparable c
        WHERE c.oid = t.oid
           OR c.oid IN (SELECT k.casttarget FROM pg_catalog.pg_cast k
                        WHERE k.castsource = t.oid AND k.castmethod = 'b' AND k.castcontext = 'i')
       )                                   AS comparison,
       EXISTS (SELECT FROM measurable m
               WHERE m.oid = t.oid
                  OR m.oid IN (SELECT k.casttarget FROM pg_catalog.pg_cast k
                               WHERE k.castsource = t.oid AND k.castmethod = 'b' AND k.castcontext = 'i')
       )                                   AS distance
FROM used
JOIN pg_catalog.pg_type t ON t.oid = used.oid
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
-- The built-in types' comments say nothing of this database.
LEFT JOIN pg_catalog.pg_description d
       ON d.classoid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objoid = t.oid
      AND t.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace
