//! Each type alone and inside others, read and written back.

use mcp_pg_core::Engine;
use mcp_pg_tests::{Database, call, rows};
use serde_json::{Map, Value, json};

use super::FIXTURE;

/// Types of the catalogue that nobody can write: no text becomes a value of them.
const UNWRITABLE: [&str; 8] = [
    "gtsvector",
    "pg_brin_bloom_summary",
    "pg_brin_minmax_multi_summary",
    "pg_ddl_command",
    "pg_dependencies",
    "pg_mcv_list",
    "pg_ndistinct",
    "pg_node_tree",
];

/// Two values of each type, as text. Ranges are made from those of their subtype.
fn samples(data_type: &str) -> Option<[&'static str; 2]> {
    Some(match data_type {
        "boolean" => ["true", "false"],
        "bytea" => ["\\x00ff22", ""],
        "\"char\"" => ["x", ""],
        "name" | "text" => ["a \"b\" \\ {c,d} (é)\n\t'", "NULL"],
        "character varying" => ["null", " {} "],
        "character" => ["a", " "],
        "bigint" => ["9223372036854775807", "-9223372036854775808"],
        "smallint" => ["32767", "-32768"],
        "integer" => ["2147483647", "-2147483648"],
        "oid" | "xid" | "cid" => ["4294967295", "0"],
        "xid8" => ["18446744073709551615", "0"],
        "real" => ["3.4028235e+38", "0.1"],
        "double precision" => ["1.7976931348623157e+308", "-5e-324"],
        "numeric" => ["123456789012345678901234567890.123456789", "0.1"],
        "money" => ["$92,233,720,368,547,758.07", "-$0.01"],
        "tid" => ["(0,1)", "(4294967295,65535)"],
        "json" => [r#"{"a":[1,null,"x"],"b":{"c":1.5}}"#, "[]"],
        "jsonb" => [r#"{"a": [1, null, "x"], "b": {"c": 1.5}}"#, "\"null\""],
        "jsonpath" => ["$.\"a\"[*]?(@ > 1)", "$"],
        "xml" => ["<a b=\"c\">d</a>", "<e/>"],
        "uuid" => ["123e4567-e89b-42d3-a456-426614174000", "00000000-0000-0000-0000-000000000000"],
        "point" => ["(1.5,-2)", "(NaN,Infinity)"],
        "lseg" => ["[(0,0),(1,1)]", "[(1,2),(3,4)]"],
        "line" => ["{1,2,3}", "{0,-1,0.5}"],
        "box" => ["(1,1),(0,0)", "(4,3),(2,1)"],
        "path" => ["((0,0),(1,1),(2,0))", "[(0,0),(1,1)]"],
        "polygon" => ["((0,0),(1,1),(2,0))", "((1,1))"],
        "circle" => ["<(1,2),3>", "<(0,0),0>"],
        "inet" => ["192.168.0.1", "10.1.2.3/8"],
        "cidr" => ["10.0.0.0/8", "::1/128"],
        "macaddr" => ["08:00:2b:01:02:03", "00:00:00:00:00:00"],
        "macaddr8" => ["08:00:2b:01:02:03:04:05", "00:00:00:00:00:00:00:00"],
        "date" => ["0044-03-15 BC", "infinity"],
        "time without time zone" => ["24:00:00", "13:45:00.123456"],
        "time with time zone" => ["13:45:00.5+05:30", "00:00:00-12"],
        "timestamp without time zone" => ["294276-12-31 23:59:59.999999", "-infinity"],
        "timestamp with time zone" => ["0044-03-15 12:00:00+00 BC", "20000-01-01 00:00:00.5+00"],
        "interval" => ["-1 years -2 mons +3 days -04:05:06.789", "00:00:00"],
        "bit" => ["1", "0"],
        "bit varying" => ["10110", ""],
        "tsvector" => ["'a':1A 'b''c':2", ""],
        "tsquery" => ["'a' & !( 'b' | 'c':*A )", "'x' <-> 'y'"],
        "pg_lsn" => ["16/B374D848", "0/0"],
        "txid_snapshot" | "pg_snapshot" => ["10:20:10,14,15", "1:1:"],
        "int2vector" | "oidvector" => ["1 2 3", ""],
        "aclitem" => ["postgres=r/postgres", "=U/postgres"],
        "refcursor" => ["a cursor", ""],
        "regclass" => ["pg_class", "pg_type"],
        "regtype" => ["integer", "text[]"],
        "regproc" => ["boolin", "-"],
        "regprocedure" => ["lower(text)", "-"],
        "regoper" => ["pg_catalog.||/", "0"],
        "regoperator" => ["+(integer,integer)", "0"],
        "regrole" => ["postgres", "-"],
        "regnamespace" => ["public", "pg_catalog"],
        "regconfig" => ["simple", "english"],
        "regdictionary" => ["simple", "english_stem"],
        "regcollation" => ["\"C\"", "\"POSIX\""],
        "regdatabase" => ["postgres", "template1"],
        "mood" => ["very, \"very\" happy", ""],
        "\"Odd Schéma.1\".\"Odd Type\"" => ["a", "a"],
        "positive" => ["1", "2147483647"],
        "small_positive" => ["1", "99"],
        "moods" => [r#"{sad,"very, \"very\" happy"}"#, "{}"],
        "label" => ["a, b", ""],
        "address" => [r#"("a ""b"", c","12345","{1,2}",sad)"#, "(,,,)"],
        "person" => {
            [r#"("A ""b""","(Street,""12345"",""{1,2}"",sad)","{""(x,,,)"",NULL}")"#, r#"("",,)"#]
        }
        "place" => [r#"(here,"(1,2)")"#, "(,)"],
        "empty" => ["()", "()"],
        "span" => ["[08:00:00,09:30:00)", "empty"],
        "address_range" => [r#"["(a,,,)","(b,,,)")"#, "empty"],
        "int4range" | "int8range" => ["[1,5)", "empty"],
        "numrange" => ["(1.5,]", "[0.1,1e3]"],
        "tsrange" => ["[\"2024-01-01 00:00:00\",infinity]", "(,)"],
        "tstzrange" => ["(\"2024-01-01 00:00:00+00\",)", "empty"],
        "daterange" => ["[2024-01-01,infinity)", "(,\"0044-03-15 BC\")"],
        "spans" => ["{[08:00:00,09:30:00),[10:00:00,)}", "{}"],
        "address_multirange" => [r#"{["(a,,,)","(b,,,)")}"#, "{}"],
        "int4multirange" | "int8multirange" => ["{[1,3),[5,8)}", "{}"],
        "nummultirange" => ["{[1.5,2.5],(3,)}", "{}"],
        "tsmultirange" | "tstzmultirange" => ["{[2024-01-01,2024-02-01)}", "{}"],
        "datemultirange" => ["{[2024-01-01,2024-02-01),[2025-01-01,)}", "{}"],
        _ => return None,
    })
}

/// The types that a column can have, by their names: built-in ones and the fixture's.
async fn types(database: &Database) -> Vec<String> {
    let query = "SELECT t.oid::regtype::text FROM pg_type t \
         LEFT JOIN pg_class c ON c.oid = t.typrelid \
         WHERE t.typtype <> 'p' AND t.typisdefined AND (c.oid IS NULL OR c.relkind = 'c') \
           AND t.typoutput <> 'array_out'::regproc \
           AND t.typnamespace::regnamespace::text IN ('pg_catalog', 'public', '\"Odd Schéma.1\"') \
         ORDER BY t.oid";
    let rows = database.client().await.query(query, &[]).await.unwrap();
    rows.iter()
        .map(|row| row.get::<_, String>(0))
        .filter(|name| !UNWRITABLE.contains(&name.as_str()) && name != "typed_row")
        .collect()
}

/// A row of a table by its key, as an engine reads it.
async fn row(engine: &Engine, table: &str, id: i64) -> Map<String, Value> {
    let one = json!({"table": table, "where": {"id": id}});
    let reply = call(engine, "admin", "select", one).await.unwrap();
    rows(&reply)[0].as_object().unwrap().clone()
}

/// What PostgreSQL writes for a row's columns but the first.
async fn texts(database: &Database, table: &str, columns: usize, id: i64) -> Vec<Option<String>> {
    let list: Vec<String> = (0..columns).map(|column| format!("c{column}::text")).collect();
    let query = format!("SELECT {} FROM {table} WHERE id = {id}", list.join(", "));
    let row = database.client().await.query_one(&query, &[]).await.unwrap();
    (0..columns).map(|column| row.get(column)).collect()
}

/// The types of the fixture that a value must have, in an array or a composite too.
const NEVER_NULL: &str = "small_positive";

/// A way for a type to come in a column: alone, in arrays, under a domain, in composites.
struct Way {
    table: &'static str,
    /// The column's type, for the type with this name and number.
    data_type: fn(&str, usize) -> String,
    /// Expressions of two values, from those of the type.
    values: fn(&str, &str, &str) -> [String; 2],
}

const WAYS: [Way; 7] = [
    Way {
        table: "plain",
        data_type: |name, _| name.to_owned(),
        values: |one, two, _| [one.to_owned(), two.to_owned()],
    },
    Way {
        table: "lists",
        data_type: |name, _| format!("{name}[]"),
        values: |one, two, null| [format!("ARRAY[{one}, {null}, {two}]"), "'{}'".to_owned()],
    },
    Way {
        table: "matrices",
        data_type: |name, _| format!("{name}[]"),
        values: |one, two, null| {
            let matrix = format!("ARRAY[ARRAY[{one}, {null}], ARRAY[{two}, {one}]]");
            [matrix, format!("ARRAY[{two}]")]
        },
    },
    Way {
        table: "domains",
        data_type: |_, number| format!("d{number}"),
        values: |one, two, _| [one.to_owned(), two.to_owned()],
    },
    Way {
        table: "domain_lists",
        data_type: |_, number| format!("d{number}[]"),
        values: |one, two, null| [format!("ARRAY[{one}, {null}, {two}]"), "'{}'".to_owned()],
    },
    Way {
        table: "composites",
        data_type: |_, number| format!("k{number}"),
        values: |one, two, null| {
            [format!("ROW({one}, ARRAY[{one}, {null}])"), format!("ROW({two}, NULL)")]
        },
    },
    Way {
        table: "composite_lists",
        data_type: |_, number| format!("k{number}[]"),
        values: |one, two, null| {
            let list = format!("ARRAY[ROW({one}, ARRAY[{one}, {two}]), NULL]");
            [list, format!("ARRAY[ROW({null}, ARRAY[{two}])]")]
        },
    },
];

#[tokio::test]
async fn values_of_every_type_can_be_written_back() {
    let database = Database::of(FIXTURE).await;
    let types = types(&database).await;
    assert!(types.len() > 80, "{types:?}");
    let mut sql = String::new();
    for (number, name) in types.iter().enumerate() {
        sql.push_str(&format!(
            "CREATE DOMAIN d{number} AS {name}; CREATE TYPE k{number} AS (a {name}, \"b c\" {name}[]);\n"
        ));
    }
    for Way { table, data_type, values } in WAYS {
        let (mut columns, mut first, mut second) = (String::new(), String::new(), String::new());
        for (number, name) in types.iter().enumerate() {
            let [one, two] = samples(name).unwrap_or_else(|| panic!("no sample of {name}"));
            let literal = |text: &str| format!("'{}'::{name}", text.replace('\'', "''"));
            let (one, two) = (literal(one), literal(two));
            let null = if name == NEVER_NULL { &one } else { "NULL" };
            let data_type = data_type(name, number);
            let values = values(&one, &two, null);
            columns.push_str(&format!(", c{number} {data_type}"));
            first.push_str(&format!(", {}::{data_type}", values[0]));
            second.push_str(&format!(", {}::{data_type}", values[1]));
        }
        sql.push_str(&format!(
            "CREATE TABLE {table} (id integer PRIMARY KEY{columns});\n\
             INSERT INTO {table} VALUES (1{first}), (2{second});\n"
        ));
    }
    database.sql(&sql).await;

    let engine = database.engine().await;
    for Way { table, .. } in WAYS {
        for id in [1, 2] {
            let before = texts(&database, table, types.len(), id).await;
            let mut read = row(&engine, table, id).await;
            assert_eq!(read.len(), types.len() + 1);
            read.insert("id".into(), json!(id + 10));
            let insert = json!({"table": table, "data": read, "returning": ["id"]});
            call(&engine, "admin", "insert", insert).await.unwrap();
            read.shift_remove("id");
            let update = json!({"table": table, "where": {"id": id}, "updates": read});
            let reply = call(&engine, "admin", "update", update).await.unwrap();
            let written = rows(&reply)[0].as_object().unwrap();
            for (name, value) in &read {
                assert_eq!(written.get(name), Some(value), "{table} {name}");
            }
            // Several rows go to PostgreSQL in another form than one.
            let mut rows = vec![read.clone(), read];
            rows[0].insert("id".into(), json!(id + 20));
            rows[1].insert("id".into(), json!(id + 30));
            let insert = json!({"table": table, "data": rows, "returning": ["id"]});
            call(&engine, "admin", "insert", insert).await.unwrap();
            for id in [id, id + 10, id + 20, id + 30] {
                let after = texts(&database, table, types.len(), id).await;
                for (name, (before, after)) in types.iter().zip(before.iter().zip(&after)) {
                    assert_eq!(before, after, "{table} {id} {name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn values_that_cannot_be_written_can_be_read() {
    let database = Database::of(
        "CREATE TABLE counted (a integer DEFAULT 1, b integer);
         INSERT INTO counted SELECT n % 10, n % 10 FROM generate_series(1, 1000) n;
         CREATE STATISTICS s (ndistinct, dependencies, mcv) ON a, b FROM counted;
         ANALYZE counted;
         CREATE VIEW unwritable AS
           SELECT stxdndistinct, stxddependencies, stxdmcv, adbin, NULL::gtsvector AS nothing
           FROM pg_statistic_ext_data, pg_attrdef",
    )
    .await;
    let engine = database.engine().await;
    let reply = call(&engine, "analyst", "select", json!({"table": "unwritable"})).await.unwrap();
    let row = &rows(&reply)[0];
    assert_eq!(row["stxdndistinct"], r#"{"1, 2": 10}"#);
    for member in ["stxddependencies", "stxdmcv", "adbin"] {
        assert!(row[member].is_string(), "{member}: {row}");
    }
    assert_eq!(row["nothing"], Value::Null);
}
