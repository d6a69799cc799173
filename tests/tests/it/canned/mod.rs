//! Canned queries from files: headers, arguments, tools and replies.

mod rights;

use std::path::PathBuf;

use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call, error, rows};
use serde_json::{Value, json};

use crate::program::file;

/// A directory that no other test has, with these files.
pub(crate) fn directory<const N: usize>(files: [(&str, &str); N]) -> PathBuf {
    let directory = file("");
    std::fs::remove_file(&directory).unwrap();
    std::fs::create_dir(&directory).unwrap();
    for (name, text) in files {
        std::fs::write(directory.join(name), text).unwrap();
    }
    directory
}

pub(crate) fn settings(directory: PathBuf) -> Settings {
    let mut settings = Settings::default();
    settings.queries.directory = Some(directory);
    settings
}

async fn engine<const N: usize>(database: &Database, files: [(&str, &str); N]) -> Engine {
    database.engine_with(settings(directory(files))).await
}

/// The faults, without the directory.
pub(crate) fn faults(engine: &Engine) -> Vec<String> {
    let faults = engine.faults();
    faults
        .iter()
        .map(|fault| {
            let fault = fault.to_string();
            fault.rsplit_once('/').map_or(fault.clone(), |(_, fault)| fault.to_owned())
        })
        .collect()
}

pub(crate) fn names(engine: &Engine, role: &str) -> Vec<String> {
    let queries = engine.queries(&Principal::new("tester", role)).unwrap();
    queries.iter().map(|query| query.name.clone()).collect()
}

pub(crate) fn input(engine: &Engine, name: &str) -> Value {
    let caller = Principal::new("tester", "admin");
    let queries = engine.queries(&caller).unwrap();
    let query = queries.iter().find(|query| query.name == name).unwrap();
    Value::Object(query.input_schema(&engine.view(&caller).unwrap()))
}

#[tokio::test]
async fn a_file_is_a_tool() {
    let database = Database::movies().await;
    let engine = engine(
        &database,
        [(
            "find_titles.sql",
            "-- Titles that contain a word, the longest first.\n\
             -- @param word text: part of the title\n\
             -- @param limit integer = 2 {\"minimum\": 1, \"maximum\": 50}: most rows\n\
             -- @roles analyst, admin\n\
             SELECT title_id, primary_title AS title -- :not_me\n\
             FROM titles WHERE primary_title ILIKE '%' || :word || '%' AND ':nor me' <> ''\n\
             ORDER BY length(primary_title) DESC, title_id LIMIT :limit;",
        )],
    )
    .await;
    assert_eq!(faults(&engine), [] as [&str; 0]);
    assert_eq!(names(&engine, "analyst"), ["find_titles"]);
    assert_eq!(names(&engine, "operator"), [] as [&str; 0]);
    assert_eq!(
        input(&engine, "find_titles"),
        json!({
            "type": "object",
            "properties": {
                "word": {"type": "string", "description": "part of the title"},
                "limit": {
                    "type": "integer", "minimum": 1, "maximum": 50,
                    "description": "most rows", "default": 2,
                },
            },
            "required": ["word"],
            "additionalProperties": false,
        })
    );
    let reply = call(&engine, "analyst", "find_titles", json!({"word": "the"})).await.unwrap();
    assert_eq!(reply["query"], "find_titles");
    assert_eq!(reply["row_count"], 2);
    assert_eq!(reply["truncated"], false);
    assert!(rows(&reply)[0]["title_id"].is_u64() && rows(&reply)[0]["title"].is_string());
    let all = call(&engine, "analyst", "find_titles", json!({"word": "the", "limit": 50}));
    assert!(rows(&all.await.unwrap()).len() > 2);
    for (arguments, code, at) in [
        (json!({}), "missing_value", "/word"),
        (json!({"word": null}), "missing_value", "/word"),
        (json!({"word": "a", "limit": 51}), "invalid_value", "/limit"),
        (json!({"word": "a", "limit": "many"}), "invalid_value", "/limit"),
        (json!({"word": "a", "lmit": 5}), "unknown_argument", "/lmit"),
        (json!({"word": ["a"]}), "invalid_value", "/word"),
    ] {
        let refused = error(&engine, "analyst", "find_titles", arguments.clone()).await;
        assert_eq!((&refused["code"], &refused["at"]), (&json!(code), &json!(at)), "{arguments}");
    }
    let absent = error(&engine, "operator", "find_titles", json!({"word": "a"})).await;
    assert_eq!(absent["code"], "unknown_argument", "{absent}");
    assert!(!absent.to_string().contains("analyst"));
}

#[tokio::test]
async fn a_file_may_come_from_any_editor() {
    let database = Database::movies().await;
    let files = [
        (
            "by_id.sql",
            "\u{feff}-- A title.\r\n-- @param id bigint: its number\r\n\
             SELECT primary_title\r\nFROM titles WHERE title_id = :id\r\n",
        ),
        ("wrong.sql", "\u{feff}-- A title.\r\nSELECT primary_title,\r\n  nmae FROM titles"),
        ("empty.sql", "\u{feff}"),
        (
            "xlist.sql",
            "-- @param ids integer[]\nSELECT primary_title FROM titles WHERE title_id IN (:ids)",
        ),
    ];
    let engine = engine(&database, files).await;
    let faults = faults(&engine);
    assert!(
        faults[2].ends_with(". Compare with an array by = ANY (:ids), not by IN"),
        "{faults:?}"
    );
    assert_eq!(faults[0], "empty.sql:1:1: there is no statement");
    assert!(faults[1].starts_with("wrong.sql:3:3: column \"nmae\" does not exist"), "{faults:?}");
    assert_eq!(faults.len(), 3);
    assert_eq!(input(&engine, "by_id")["properties"]["id"]["description"], "its number");
}

#[tokio::test]
async fn a_file_that_cannot_be_sent_is_a_fault_of_its_own() {
    let database = Database::movies().await;
    let files = [
        ("good.sql", "SELECT 1 AS one"),
        ("nul.sql", "SELECT 1 AS a,\n '\0' AS b"),
        ("more.sql", "-- A.\n-- @param a int + 1\nSELECT :a AS a"),
        ("near.sql", "-- @param a int=5: five\nSELECT :a AS a"),
        ("object.sql", "-- @param a jsonb = {\"b\": [1]}\nSELECT :a AS a"),
        ("either.sql", "-- @param a int {\"enum\": [1, \"3\"]}\nSELECT :a AS a"),
    ];
    let engine = engine(&database, files).await;
    let faults = faults(&engine);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert_eq!(faults[0], "nul.sql: cannot be read: line 2 has a NUL byte");
    assert!(faults[1].starts_with("more.sql:2:4: \"int + 1\" is not a type name"), "{faults:?}");
    assert_eq!(names(&engine, "analyst"), ["either", "good", "near", "object"]);
    for (tool, arguments, expected) in [
        ("near", json!({}), json!(5)),
        ("near", json!({"a": 7}), json!(7)),
        ("object", json!({}), json!({"b": [1]})),
        ("either", json!({"a": 3}), json!(3)),
    ] {
        let reply = call(&engine, "analyst", tool, arguments).await.unwrap();
        assert_eq!(rows(&reply)[0]["a"], expected, "{tool}");
    }
}

#[tokio::test]
async fn types_come_from_the_statement_and_descriptions_from_the_columns() {
    let database = Database::of(
        "CREATE TYPE mood AS ENUM ('glad', 'sad');
         CREATE TABLE person (id integer PRIMARY KEY, name text, mood mood, born date, tags text[],
                              paid numeric, seen timestamptz, data jsonb, span int4range, wait interval);
         COMMENT ON COLUMN person.name IS 'How others call her';
         INSERT INTO person VALUES
           (1, 'Ada', 'glad', '1815-12-10', '{a,b}', 12345678901234567890.5, '2024-01-31 13:45+00',
            '{\"x\": [1]}', '[1,5)', '1 day 02:00'),
           (2, 'Bob', 'sad', '1990-01-01', '{}', 1.5, NULL, NULL, NULL, NULL)",
    )
    .await;
    let engine = engine(
        &database,
        [(
            "people.sql",
            "-- @param moods?\n-- @param ids?: some of them\n-- @param data?\n-- @param born?\n-- @param name text?\n\
             SELECT *, 'x'::text COLLATE \"C\" AS \"Ünïcode \"\"name\"\"\", ARRAY[wait] AS waits, \
               (1, 'a')::record IS NULL AS no\n\
             FROM person p WHERE (:name IS NULL OR p.name = :name) \
               AND (cast(:moods AS mood[]) IS NULL OR mood = ANY (:moods)) \
               AND (:ids::int[] IS NULL OR id = ANY (:ids)) AND (:born::date IS NULL OR born >= :born) \
               AND (:data::jsonb IS NULL OR p.data @> :data) AND (data ? 'x' OR NOT data ?| '{y,z}' OR true) \
             ORDER BY id",
        )],
    )
    .await;
    assert_eq!(faults(&engine), [] as [&str; 0]);
    let schema = input(&engine, "people");
    let properties = &schema["properties"];
    // As declared, whatever comes first in the text.
    let known: Vec<&String> = properties.as_object().unwrap().keys().collect();
    assert_eq!(known, ["moods", "ids", "data", "born", "name"]);
    assert_eq!(properties["name"], json!({"type": "string", "description": "How others call her"}));
    assert_eq!(
        properties["moods"],
        json!({"type": "array", "items": {"anyOf": [{"type": "string", "enum": ["glad", "sad"]}, {"type": "null"}]}})
    );
    assert_eq!(
        properties["ids"],
        json!({"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "description": "some of them"})
    );
    assert_eq!(properties["born"], json!({"type": "string", "format": "date"}));
    assert_eq!(properties["data"]["anyOf"][0], json!({"type": "object"}));
    assert_eq!(schema.get("required"), None);

    let reply = call(&engine, "analyst", "people", json!({"ids": [1]})).await.unwrap();
    let expected = call(&engine, "analyst", "select", json!({"table": "person", "limit": 1}));
    let mut expected = rows(&expected.await.unwrap())[0].clone();
    expected["Ünïcode \"name\""] = "x".into();
    expected["waits"] = json!(["1 day 02:00:00"]);
    expected["no"] = false.into();
    assert_eq!(rows(&reply), [expected], "a value is read as select reads it");
    for (arguments, count) in [
        (json!({}), 2),
        (json!({"name": "Ada"}), 1),
        (json!({"moods": ["sad", "glad"]}), 2),
        (json!({"moods": []}), 0),
        (json!({"ids": [1, 2], "name": null}), 2),
        (json!({"born": "1900-01-01"}), 1),
        (json!({"data": {"x": [1]}}), 1),
    ] {
        let reply = call(&engine, "analyst", "people", arguments.clone()).await.unwrap();
        assert_eq!(reply["row_count"], count, "{arguments}");
    }
    for born in [json!("soon"), json!("today"), json!({"$now": true})] {
        let error = error(&engine, "analyst", "people", json!({"born": born})).await;
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.contains("2024-01-31") && !hint.contains("$now"), "{hint}");
    }
    let refused = error(&engine, "analyst", "people", json!({"moods": ["sda"]})).await;
    assert_eq!(refused["at"], "/moods/0");
    assert_eq!(refused["did_you_mean"], "sad");
}

/// Many clients refuse a list of types, null in an `enum`, and arguments or items without a type.
#[tokio::test]
async fn schemas_name_one_type_each() {
    fn typed(at: &str, schema: &Value) {
        assert!(schema["anyOf"].is_array() || schema["type"].is_string(), "{at}: {schema}");
        assert!(schema["type"] != "array" || schema["items"].is_object(), "{at}: {schema}");
        assert!(!schema["enum"].to_string().contains(",null"), "{at}: {schema}");
        schema["anyOf"].as_array().into_iter().flatten().for_each(|one| typed(at, one));
        schema.get("items").into_iter().for_each(|items| typed(at, items));
        for (name, of) in schema["properties"].as_object().into_iter().flatten() {
            typed(&format!("{at}.{name}"), of);
        }
    }
    let database = Database::of(
        "CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE TYPE pair AS (a bigint, b mood);
         CREATE FUNCTION told(m mood, n numeric, j jsonb) RETURNS text LANGUAGE sql STABLE AS 'SELECT m::text';
         COMMENT ON FUNCTION told IS '@tool';",
    )
    .await;
    let text = "-- @param d int[] = '{1,2}'\n-- @param n bigint = '5'\n-- @param s int4range = '[1,5)'\n\
                -- @param j jsonb\n-- @param l jsonb[]?\n-- @param p pair?\n-- @param m mood = glad\n\
                SELECT :d AS d, :n AS n, :s AS s, :j AS j, :l AS l, :p AS p, :m AS m";
    let mut settings = settings(directory([("types.sql", text)]));
    settings.queries.functions = vec!["public".into()];
    let engine = database.engine_with(settings).await;
    assert_eq!(faults(&engine), [] as [&str; 0]);
    for tool in ["types", "told"] {
        typed(tool, &input(&engine, tool));
    }
    let schema = input(&engine, "types");
    let default = |name: &str| schema["properties"][name]["default"].clone();
    assert_eq!(
        (default("d"), default("n"), default("m")),
        (json!([1, 2]), json!(5), json!("glad"))
    );
    assert_eq!(default("s"), json!({"lower": 1, "upper": 5, "bounds": "[)"}));
    for arguments in [json!({"j": 1}), json!({"j": {}, "d": [1, 2], "n": 5, "s": default("s")})] {
        let reply = call(&engine, "analyst", "types", arguments.clone()).await.unwrap();
        assert_eq!(rows(&reply)[0]["d"], json!([1, 2]), "{arguments}");
    }
    // Null is a value of its own for this function.
    let told = input(&engine, "told");
    let nullable = json!([{"type": "string", "enum": ["glad", "sad"]}, {"type": "null"}]);
    assert_eq!(told["properties"]["m"]["anyOf"], nullable);
}

#[tokio::test]
async fn a_fault_names_file_line_and_column() {
    let database = Database::shop().await;
    let engine = engine(
        &database,
        [
            ("broken.sql", "-- A query.\nSELECT user_id,\n       nmae\nFROM users"),
            ("typo.sql", "-- @param a integr\nSELECT :a"),
            ("untyped.sql", "-- x\nSELECT count(*) FROM users WHERE :a IS NULL"),
            ("insert.sql", "SELECT 1"),
            ("two.sql", "SELECT 1 AS a, 2 AS a"),
            ("default.sql", "-- @param a integer = many\nSELECT :a AS a"),
            ("span.sql", "-- x\n-- @param a interval = many\nSELECT :a AS a"),
            ("net.sql", "-- @param a inet[] = [\"10.0.0.1\", \"here\"]\nSELECT :a AS a"),
            (
                "bound.sql",
                "-- @param a numeric {\"maximum\": 92233720368547758079}\nSELECT :a AS a",
            ),
            ("nobody.sql", "-- @roles analist\nSELECT 1"),
            ("no name.sql", "SELECT 1"),
            ("write.sql", "INSERT INTO users (name) VALUES (:name)"),
            ("drop.sql", "-- @writes\nDROP TABLE users"),
            ("into.sql", "SELECT user_id INTO copied FROM users"),
            ("rule.sql", "-- @param a integer {\"pattern\": \"^a\"}\nSELECT :a AS a"),
            ("labels.sql", "-- @param a integer[] {\"enum\": [1, \"b\"]}\nSELECT :a AS a"),
            (
                "good.SQL",
                "-- @param c interval = 1 day\nSELECT ARRAY[:a, :b] AS both, now() - :c AS then",
            ),
            ("readme.txt", "SELECT"),
        ],
    )
    .await;
    let faults = faults(&engine);
    for expected in [
        "broken.sql:3:8: column \"nmae\" does not exist",
        "typo.sql:1:4: type \"integr\" does not exist",
        "untyped.sql:2:1: could not determine data type of parameter :a: declare its type",
        "insert.sql: insert is the name of a built-in tool",
        "two.sql:1:1: two columns are called a: rename one with AS",
        "default.sql:1:4: the default \"many\": expected integer",
        "span.sql:2:4: the default \"many\": invalid input syntax for type interval",
        "net.sql:1:4: the default [\"10.0.0.1\",\"here\"]: invalid input syntax for type inet",
        "bound.sql:1:4: maximum: write 9.223372036854776e+19 as a string of digits",
        "nobody.sql:1:4: there is no role \"analist\"; did you mean analyst?",
        "no name.sql: \"no name\" is not a tool name",
        "write.sql:1:1: INSERT writes: add -- @writes",
        "drop.sql:2:1: a canned query is a SELECT",
        "into.sql:1:1: it returns no columns: add -- @writes",
        "rule.sql:1:4: pattern is for texts, and this is integer",
        "labels.sql:1:4: enum: expected integer, got the string \"b\"",
    ] {
        assert!(
            faults.iter().any(|fault| fault.starts_with(expected)),
            "{expected} in {faults:#?}"
        );
    }
    assert_eq!(names(&engine, "admin"), ["good"]);
}

#[tokio::test]
async fn a_result_is_cut_like_any_other() {
    let database = Database::empty().await;
    let engine = engine(
        &database,
        [
            ("many.sql", "SELECT n, md5(n::text) AS hash FROM generate_series(1, 10000) n"),
            ("few.sql", "-- @limit 3\nSELECT n FROM generate_series(1, 10) n"),
            ("large.sql", "SELECT repeat('x', 300000) AS text"),
            ("wide.sql", "SELECT n, repeat('x', 1000) AS text FROM generate_series(1, 900) n"),
            ("none.sql", "SELECT 1 AS one WHERE false"),
        ],
    )
    .await;
    let many = call(&engine, "analyst", "many", json!({})).await.unwrap();
    assert_eq!((&many["row_count"], &many["truncated"]), (&json!(1000), &json!(true)));
    assert_eq!(rows(&many)[999]["n"], 1000);
    assert_eq!(many["next_cursor"], Value::Null);
    let few = call(&engine, "analyst", "few", json!({})).await.unwrap();
    assert_eq!(few["rows"], json!([{"n": 1}, {"n": 2}, {"n": 3}]));
    assert_eq!(few["truncated"], true);
    let wide = call(&engine, "analyst", "wide", json!({})).await.unwrap();
    assert_eq!(wide["truncated"], true);
    assert!(rows(&wide).len() > 200 && wide.to_string().len() < 300_000);
    let large = error(&engine, "analyst", "large", json!({})).await;
    assert_eq!(large["code"], "limit_exceeded");
    let none = call(&engine, "analyst", "none", json!({})).await.unwrap();
    assert_eq!((&none["rows"], &none["truncated"]), (&json!([]), &json!(false)));
}

#[tokio::test]
async fn a_list_has_no_more_items_than_it_may() {
    let database = Database::empty().await;
    let query = "-- @param ids integer[] {\"maxItems\": 2}\nSELECT cardinality(:ids) AS n";
    let engine = engine(&database, [("count.sql", query)]).await;
    for (ids, items) in [
        (json!([1, 2]), Some(2)),
        (json!([[1, 2]]), Some(2)),
        (json!("{1,2}"), Some(2)),
        (json!([1, 2, 3]), None),
        (json!([[1, 2, 3]]), None),
        (json!([[1, 2], [3, 4]]), None),
        (json!("{1,2,3}"), None),
        (json!("[0:2]={1,2,3}"), None),
    ] {
        let arguments = json!({"ids": ids});
        match items {
            Some(items) => {
                let reply = call(&engine, "analyst", "count", arguments).await.unwrap();
                assert_eq!(reply["rows"][0]["n"], items, "{ids}");
            }
            None => {
                let told = error(&engine, "analyst", "count", arguments).await;
                assert_eq!(
                    (&told["code"], &told["at"]),
                    (&json!("limit_exceeded"), &json!("/ids"))
                );
            }
        }
    }
}

#[tokio::test]
async fn errors_about_the_use_of_a_value_quote_no_other_value() {
    let database = Database::of("CREATE TABLE t (n text); INSERT INTO t VALUES ('secret')").await;
    let files = [
        ("some.sql", "-- @param n bigint\nSELECT n FROM t LIMIT :n"),
        ("part.sql", "-- @param n integer\nSELECT 1 / :n AS part"),
        ("cast.sql", "-- @param n text\nSELECT n::integer AS n FROM t WHERE n <> :n"),
    ];
    let engine = engine(&database, files).await;
    for (name, n, expected) in [
        ("some", json!(-1), ": LIMIT must not be negative"),
        ("part", json!(0), ": division by zero"),
        ("cast", json!("x"), "does with it"),
    ] {
        let told = call(&engine, "admin", name, json!({"n": n})).await.unwrap_err();
        assert_eq!(told.code().as_str(), "invalid_value", "{told}");
        assert!(told.message().ends_with(expected), "{told}");
        assert!(!told.to_string().contains("secret"), "{told}");
    }
}

/// A cast to such a type would cut the value, or fill it up.
#[tokio::test]
async fn a_value_of_another_length_than_the_type_says_is_refused() {
    let engine = engine(
        &Database::empty().await,
        [(
            "lengths.sql",
            "-- @param b bit(3) = '101'\n-- @param v bit varying(3) = '1'\n-- @param c char(3) = 'abc'\n-- @param t varchar(3) = 'a'\n\
             SELECT :b b, :v v, :c c, :t t",
        )],
    )
    .await;
    for (member, value) in [("b", "11"), ("b", "1010"), ("v", "1010"), ("c", "abcd"), ("t", "abcd")]
    {
        let told = error(&engine, "admin", "lengths", json!({member: value})).await;
        assert_eq!(
            (&told["code"], &told["at"]),
            (&json!("invalid_value"), &json!(format!("/{member}")))
        );
    }
    let fit = json!({"b": "110", "v": "10", "c": "a  ", "t": "äöü"});
    let reply = call(&engine, "admin", "lengths", fit).await.unwrap();
    assert_eq!(rows(&reply), [json!({"b": "110", "v": "10", "c": "a  ", "t": "äöü"})]);
}
