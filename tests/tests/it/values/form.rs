//! The JSON form of each type.

use mcp_pg_tests::{Database, call, rows};
use serde_json::json;

use super::FIXTURE;

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
        ("c_int8", json!(1e300), "", "out of range"),
        ("c_bool", json!("maybe"), "", "expected boolean"),
        ("c_numeric_scaled", json!("1e9"), "", "overflow"),
        ("c_varchar_bound", json!("01234567890"), "", "too long"),
        ("c_text", json!("\0"), "", "NUL"),
        ("c_uuid", json!("123"), "", "expected uuid"),
        ("c_bytea", json!("***"), "", "expected bytea"),
        ("c_bytea", json!("\\x0"), "", "expected bytea"),
        ("c_bytea", json!("\\x0g"), "", "expected bytea"),
        ("c_date", json!("2023-02-29"), "", "expected date"),
        ("c_timestamptz", json!("now"), "", "not a date or time"),
        ("c_timestamp", json!("2024-01-31T13:45:00+05:30"), "", "time in a zone"),
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
        assert_eq!(error.get_at(), Some(place.as_str()), "{error}");
        assert!(error.message().contains(message), "{column}: {error}");
        let condition = json!({"table": "every_type", "where": {column: {"eq": value}}});
        // A condition compares with the type alone, whatever its length, and jsonpath has no "=".
        let bounded = matches!(column, "c_varchar_bound" | "c_numeric_scaled");
        if !bounded && column != "c_jsonpath" {
            let error = call(&engine, "admin", "select", condition).await.unwrap_err();
            assert_eq!(error.code().as_str(), "invalid_value", "where {column}: {error}");
        }
    }
    let misspelt = json!({"table": "every_type", "data": {"id": 9, "c_mood": "sadd"}});
    let error = call(&engine, "admin", "insert", misspelt).await.unwrap_err();
    let error = serde_json::to_value(&error).unwrap();
    assert_eq!(error["allowed"], json!(["worse", "sad", "so-so", "very, \"very\" happy", ""]));
    assert_eq!(error["did_you_mean"], "sad");
    let broken = json!({"table": "every_type", "data": {"id": 9, "c_small_positive": 100}});
    let error = call(&engine, "admin", "insert", broken).await.unwrap_err();
    assert_eq!(error.code().as_str(), "check_violation");
    assert_eq!(error.get_at(), Some("/data/c_small_positive"));
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
