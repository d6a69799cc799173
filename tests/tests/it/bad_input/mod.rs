//! Every kind of invalid input and every error of PostgreSQL: code and place are right, nothing is written, and the
//! next valid call works.

mod constraint;
mod list;
mod name;
mod size;
mod text;

use mcp_pg_core::Engine;
use mcp_pg_tests::{Database, call, error};
use serde_json::{Value, json};

const RULES: &str = "
    CREATE DOMAIN percent AS integer CONSTRAINT up_to_100 CHECK (VALUE BETWEEN 0 AND 100);
    CREATE DOMAIN named AS text NOT NULL;
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE TYPE pair AS (a integer, b text);
    CREATE TABLE owners (id integer PRIMARY KEY, name text);
    CREATE TABLE rules (
        id integer PRIMARY KEY,
        code varchar(5) UNIQUE,
        a integer, b integer, CONSTRAINT a_and_b UNIQUE (a, b),
        owner_id integer CONSTRAINT owned REFERENCES owners,
        share percent, other_share percent,
        low integer CONSTRAINT positive CHECK (low > 0),
        high integer, CONSTRAINT in_order CHECK (low < high),
        during daterange, CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&)
            WHERE (full_name IS DISTINCT FROM 'gone'),
        mood mood, pair pair, amount numeric(5,2), tags text[], meta jsonb,
        at timestamptz, key uuid, flag boolean, bits bytea, address inet, full_name text,
        double integer GENERATED ALWAYS AS (a * 2) STORED,
        filled text NOT NULL, lower_code text
    );
    CREATE UNIQUE INDEX lower_code_key ON rules (lower(lower_code));
    CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.full_name = 'refused' THEN
            RAISE EXCEPTION 'names such as % are not wanted', NEW.full_name;
        ELSIF NEW.full_name = 'coded' THEN
            RAISE EXCEPTION 'no more seats' USING ERRCODE = '45000';
        ELSIF NEW.full_name = 'checked' THEN
            RAISE EXCEPTION 'the office is closed' USING ERRCODE = 'check_violation', HINT = 'come on Monday';
        ELSIF NEW.full_name = 'told' THEN
            RAISE EXCEPTION 'it is too late' USING DETAIL = 'we close at six';
        ELSIF NEW.full_name = 'asserted' THEN
            ASSERT false, 'nobody has such a name';
        ELSIF NEW.full_name = 'broken' THEN
            PERFORM 1 FROM secret_schema.hidden_table;
        END IF;
        IF NEW.full_name IS DISTINCT FROM 'unfilled' THEN NEW.filled := 'by trigger'; END IF;
        IF NEW.full_name = 'skipped' THEN RETURN NULL; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON rules FOR EACH ROW EXECUTE FUNCTION fill();
    INSERT INTO owners VALUES (1, 'one');
    INSERT INTO rules (id, code, a, b, during, lower_code) VALUES (1, 'first', 1, 1, '[2020-01-01,2020-12-31]', 'low');";

/// Tries each bad row in an insert and in an update, and a good one afterwards.
async fn check(database: &Database, engine: &Engine, cases: &[(Value, &str, &str)]) {
    let before =
        database.value("SELECT md5(string_agg(r::text, ',' ORDER BY id)) FROM rules r").await;
    for (row, code, column) in cases {
        let mut data = row.clone();
        if data.get("id").is_none() {
            data["id"] = json!(2);
        }
        let reply = error(engine, "admin", "insert", json!({"table": "rules", "data": data})).await;
        assert_eq!(
            (&reply["code"], &reply["at"]),
            (&json!(code), &json!(format!("/data{column}"))),
            "{row} {reply}"
        );
        assert!(!reply.to_string().contains("INSERT INTO"), "{reply}");
        let list = json!({"table": "rules", "data": [{"id": 3}, data]});
        let reply = error(engine, "admin", "insert", list).await;
        assert_eq!(
            (&reply["code"], &reply["at"]),
            (&json!(code), &json!(format!("/data/1{column}"))),
            "{row} {reply}"
        );
    }
    let after =
        database.value("SELECT md5(string_agg(r::text, ',' ORDER BY id)) FROM rules r").await;
    assert_eq!(before, after);
    let good = json!({"table": "rules", "data": {"id": 2}});
    call(engine, "admin", "insert", good).await.unwrap();
}

#[tokio::test]
async fn a_place_within_a_single_value_is_in_the_arguments() {
    let engine = Database::shop().await.engine().await;
    for (tool, request) in [
        ("select", json!({"table": "orders", "columns": {"$column": "total"}})),
        (
            "select",
            json!({"table": "orders", "include": {"user": {"columns": {"$column": "name"}}}}),
        ),
        (
            "select",
            json!({"table": "users", "include": {"orders": {"include": {"order_items": {"order_by": {"multiply": ["quantity", "nothing"]}}}}}}),
        ),
        (
            "transaction",
            json!({"operations": {"operation": "select", "table": "users", "include": {"orders": {"columns": {"some": {}}}}}}),
        ),
        (
            "transaction",
            json!({"operations": [{"operation": "select", "table": "users", "columns": {"some": {}}}]}),
        ),
    ] {
        let refused = error(&engine, "admin", tool, request.clone()).await;
        let at = refused["at"].as_str().unwrap_or_else(|| panic!("{request}: {refused}"));
        assert!(at.len() > 10 && request.pointer(at).is_some(), "{request}: {refused}");
    }
}
