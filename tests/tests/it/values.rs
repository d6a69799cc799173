//! Values of every type: what is read, and that it can be written back.

use mcp_pg_core::Engine;
use mcp_pg_tests::{Database, call, rows};
use serde_json::{Map, Value, json};

const FIXTURE: &str = include_str!("../../fixtures/torture.sql");

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
async fn what_is_read_of_every_type_can_be_written_back() {
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
async fn what_nobody_can_write_can_be_read() {
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

/// Reads the literal as the type, and compares.
#[tokio::test]
async fn each_type_has_its_form() {
    let forms = [
        ("boolean", "t", json!(true)),
        ("smallint", "-32768", json!(-32768)),
        ("bigint", "9007199254740991", json!(9_007_199_254_740_991_i64)),
        ("bigint", "9007199254740992", json!("9007199254740992")),
        ("bigint", "-9007199254740992", json!("-9007199254740992")),
        ("oid", "4294967295", json!(4_294_967_295_u32)),
        ("xid8", "18446744073709551615", json!("18446744073709551615")),
        ("real", "0.1", json!(0.1)),
        ("double precision", "0.1", json!(0.1)),
        ("double precision", "NaN", json!("NaN")),
        ("real", "-Infinity", json!("-Infinity")),
        ("double precision", "Infinity", json!("Infinity")),
        ("numeric", "0.1", json!(0.1)),
        ("numeric", "9007199254740991", json!(9_007_199_254_740_991_i64)),
        ("numeric", "9007199254740993", json!("9007199254740993")),
        ("numeric", "0.1234567890123456789", json!("0.1234567890123456789")),
        ("numeric", "1e30", json!("1000000000000000000000000000000")),
        ("numeric", "NaN", json!("NaN")),
        ("numeric", "-Infinity", json!("-Infinity")),
        ("numeric(10,2)", "12.5", json!(12.5)),
        ("money", "1000", json!("$1,000.00")),
        ("text", "", json!("")),
        ("char(3)", "a", json!("a  ")),
        ("bytea", "\\x00ff", json!("AP8=")),
        ("bytea", "", json!("")),
        (
            "uuid",
            "{123E4567E89B42D3A456426614174000}",
            json!("123e4567-e89b-42d3-a456-426614174000"),
        ),
        ("date", "2024-01-31", json!("2024-01-31")),
        ("date", "0044-03-15 BC", json!("0044-03-15 BC")),
        ("date", "20000-01-01", json!("20000-01-01")),
        ("date", "infinity", json!("infinity")),
        ("time", "13:45:00.5", json!("13:45:00.5")),
        ("timestamp", "2024-01-31 13:45", json!("2024-01-31T13:45:00")),
        ("timestamptz", "2024-01-31 13:45+02", json!("2024-01-31T11:45:00Z")),
        ("timestamptz", "-infinity", json!("-infinity")),
        ("timestamptz", "0044-03-15 12:00+00 BC", json!("0044-03-15T12:00:00Z BC")),
        ("timestamp", "12345-06-07 08:09:10", json!("12345-06-07T08:09:10")),
        ("interval", "1 day 2 hours", json!("1 day 02:00:00")),
        ("json", "{\"b\":1, \"a\" : [1e0,null]}", json!({"b": 1, "a": [1e0, null]})),
        ("jsonb", "{\"n\": 12345678901234567890123}", json!({"n": "12345678901234567890123"})),
        ("inet", "10.0.0.1", json!("10.0.0.1")),
        ("inet", "10.0.0.1/8", json!("10.0.0.1/8")),
        ("bit(3)", "101", json!("101")),
        ("point", "(1,2)", json!("(1,2)")),
        ("tsvector", "a b", json!("'a' 'b'")),
        ("integer[]", "{}", json!([])),
        ("integer[]", "{1,NULL,3}", json!([1, null, 3])),
        ("integer[]", "[0:1][5:6]={{1,2},{3,4}}", json!([[1, 2], [3, 4]])),
        ("bigint[]", "{9007199254740993}", json!(["9007199254740993"])),
        ("box[]", "{(1,1),(0,0);(3,3),(2,2)}", json!(["(1,1),(0,0)", "(3,3),(2,2)"])),
        ("bytea[]", r#"{"\\x01"}"#, json!(["AQ=="])),
        ("timestamptz[]", r#"{"2024-01-31 13:45+02"}"#, json!(["2024-01-31T11:45:00Z"])),
        ("jsonb[]", r#"{"[1]","{\"a\":2}"}"#, json!([[1], {"a": 2}])),
        ("mood", "", json!("")),
        (
            "mood[]",
            r#"{sad,"very, \"very\" happy",""}"#,
            json!(["sad", "very, \"very\" happy", ""]),
        ),
        ("moods", "{sad}", json!(["sad"])),
        ("small_positive", "7", json!(7)),
        (
            "address",
            r#"("a ""b"", c",12345,"{1,2}",sad)"#,
            json!({"street": "a \"b\", c", "Zip Code": "12345", "floors": [1, 2], "mood": "sad"}),
        ),
        (
            "person[]",
            r#"{"(x,\"(,,,)\",)"}"#,
            json!([{
                "name": "x",
                "home": {"street": null, "Zip Code": null, "floors": null, "mood": null},
                "others": null,
            }]),
        ),
        ("empty", "()", json!({})),
        ("int4range", "[1,5]", json!({"lower": 1, "upper": 6, "bounds": "[)"})),
        ("int4range", "empty", json!({"lower": null, "upper": null, "bounds": "empty"})),
        ("numrange", "(,1.5]", json!({"lower": null, "upper": 1.5, "bounds": "(]"})),
        (
            "tstzrange",
            "[2024-01-01 00:00+00,)",
            json!({"lower": "2024-01-01T00:00:00Z", "upper": null, "bounds": "[)"}),
        ),
        ("span", "[8:00,9:00)", json!({"lower": "08:00:00", "upper": "09:00:00", "bounds": "[)"})),
        (
            "int4multirange",
            "{[1,3),[5,)}",
            json!([
                {"lower": 1, "upper": 3, "bounds": "[)"},
                {"lower": 5, "upper": null, "bounds": "[)"},
            ]),
        ),
        ("int4range[]", "{\"[1,2)\"}", json!([{"lower": 1, "upper": 2, "bounds": "[)"}])),
    ];
    let columns: Vec<String> = (0..forms.len())
        .map(|number| {
            let (name, literal, _) = &forms[number];
            format!("'{}'::{name} AS c{number}", literal.replace('\'', "''"))
        })
        .collect();
    let database = Database::of(FIXTURE).await;
    database.sql(&format!("CREATE VIEW forms AS SELECT {}", columns.join(", "))).await;
    let engine = database.engine().await;
    let reply = call(&engine, "analyst", "select", json!({"table": "forms"})).await.unwrap();
    for (number, (name, literal, expected)) in forms.iter().enumerate() {
        assert_eq!(&rows(&reply)[0][format!("c{number}")], expected, "{name} {literal}");
    }
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_told_with_its_place_and_what_would() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    // Column, value, place within it, and words of the message.
    for (column, value, place, message) in [
        ("c_int4", json!("many"), "", "expected integer, got the string \"many\""),
        ("c_int4", json!(1.5), "", "expected integer"),
        ("c_int4", json!(2_147_483_648_u32), "", "out of range"),
        ("c_int8", json!(1e300), "", "too large"),
        ("c_bool", json!("maybe"), "", "expected boolean"),
        ("c_numeric_scaled", json!("1e9"), "", "overflow"),
        ("c_varchar_bound", json!("01234567890"), "", "too long"),
        ("c_text", json!("\0"), "", "NUL"),
        ("c_uuid", json!("123"), "", "expected uuid"),
        ("c_bytea", json!("***"), "", "expected bytea"),
        ("c_date", json!("2023-02-29"), "", "expected date"),
        ("c_timestamptz", json!("now"), "", "not a date or time"),
        ("c_interval", json!("soon"), "", "interval"),
        ("c_inet", json!("10.0.0.256"), "", "inet"),
        ("c_ints", json!([1, "x"]), "/1", "expected integer"),
        ("c_matrix", json!([[1], [2, 3]]), "/1", "same length"),
        ("c_address", json!({"street": 1, "floor": []}), "/floor", "no field"),
        ("c_address", json!({"floors": [0.5]}), "/floors/0", "small_positive, got the number 0.5"),
        ("c_int4range", json!({"lower": "a"}), "/lower", "expected integer"),
        ("c_int4range", json!({"lower": 5, "upper": 1}), "", "lower bound"),
        ("c_int4range", json!({"bounds": "<>"}), "/bounds", "bounds"),
        ("c_int4multirange", json!([{"lower": 1}, null]), "/1", "expected int4range"),
        ("c_mood", json!("glad"), "", "expected mood"),
        ("c_moods", json!(["sad", "glad"]), "/1", "mood, got the string"),
        ("c_jsonpath", json!("$["), "", "jsonpath"),
    ] {
        let data = json!({"id": 9, column: value});
        let insert = json!({"table": "every_type", "data": data});
        let error = call(&engine, "admin", "insert", insert).await.unwrap_err();
        let place = format!("/data/{column}{place}");
        assert_eq!(error.code().as_str(), "invalid_value", "{column}: {error}");
        assert_eq!(error.pointer(), Some(place.as_str()), "{error}");
        assert!(error.message().contains(message), "{column}: {error}");
        let condition = json!({"table": "every_type", "where": {column: {"eq": value}}});
        // A condition compares with the type alone, whatever its length, and jsonpath has no "=".
        let bounded = matches!(column, "c_varchar_bound" | "c_numeric_scaled");
        if !bounded && column != "c_jsonpath" {
            let error = call(&engine, "admin", "select", condition).await.unwrap_err();
            assert_eq!(error.code().as_str(), "invalid_value", "where {column}: {error}");
        }
    }
    let glad = json!({"table": "every_type", "data": {"id": 9, "c_mood": "glad"}});
    let error = call(&engine, "admin", "insert", glad).await.unwrap_err();
    let error = serde_json::to_value(&error).unwrap();
    assert_eq!(error["allowed"], json!(["worse", "sad", "so-so", "very, \"very\" happy", ""]));
    assert_eq!(error["did_you_mean"], "sad");
    let broken = json!({"table": "every_type", "data": {"id": 9, "c_small_positive": 100}});
    let error = call(&engine, "admin", "insert", broken).await.unwrap_err();
    assert_eq!(error.code().as_str(), "check_violation");
    assert_eq!(error.pointer(), Some("/data/c_small_positive"));
}

#[tokio::test]
async fn both_forms_of_a_number_are_accepted() {
    let database = Database::of("CREATE TABLE t (id bigint PRIMARY KEY, n numeric)").await;
    let engine = database.engine().await;
    let data = json!([
        {"id": "9007199254740993", "n": 0.1},
        {"id": 9_007_199_254_740_993_i64, "n": "0.1"},
        {"id": "7", "n": 1e15},
    ]);
    let insert = json!({"table": "t", "data": data[0], "returning": ["id", "n"]});
    let reply = call(&engine, "admin", "insert", insert).await.unwrap();
    assert_eq!(rows(&reply), [json!({"id": "9007199254740993", "n": 0.1})]);
    let insert = json!({"table": "t", "data": data[1]});
    let error = call(&engine, "admin", "insert", insert).await.unwrap_err();
    assert_eq!(error.code().as_str(), "unique_violation");
    let insert = json!({"table": "t", "data": data[2]});
    call(&engine, "admin", "insert", insert).await.unwrap();
    assert_eq!(
        database.value("SELECT trim_scale(n)::text FROM t WHERE id = 7").await.unwrap(),
        "1000000000000000"
    );
}
