//! Claims that hold more than a value: a token may carry what its subject wrote.

use mcp_pg_core::policy::{Action, Grant, Role, Setting};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call_as, object, rows};
use serde_json::{Value, json};

#[tokio::test]
async fn a_claim_is_a_value_and_no_condition() {
    let database = Database::of(
        "CREATE TABLE own (id integer PRIMARY KEY, tenant integer, label text, more jsonb);
         INSERT INTO own VALUES (1, 1, 'a', '{\"ne\": 0}'), (2, 2, 'b', '{}')",
    )
    .await;
    let role = |name: &str, column: &str| Role {
        name: name.into(),
        grants: vec![Grant {
            tables: vec!["public.own".into()],
            actions: [Action::Select].into_iter().collect(),
            rows: Some(object(json!({column: "claim:x"}))),
            ..Grant::default()
        }],
        ..Role::default()
    };
    let roles = ["tenant", "label", "more"].map(|column| role(column, column));
    let engine =
        database.engine_with(Settings { roles: roles.into(), ..Settings::default() }).await;
    let seen = async |role: &str, claim: &Value| -> Vec<Value> {
        let caller = Principal::new("mallory", role).claim("x", claim.clone());
        let reply = call_as(&engine, &caller, "select", json!({"table": "own"})).await;
        // What does not fit the column leaves no row, or ends the call.
        reply.map(|reply| rows(&reply).to_vec()).unwrap_or_default()
    };
    for claim in [
        json!({"ne": 0}),
        json!({"is_null": false}),
        json!({"gte": -5}),
        json!({"not_in": [7]}),
        json!({"$ref": "0.id"}),
        json!({"$literal": {"ne": 0}}),
        json!({"or": []}),
        json!("1 OR 1=1"),
        json!(true),
        json!(null),
        json!([]),
    ] {
        for role in ["tenant", "label"] {
            assert_eq!(seen(role, &claim).await, Vec::<Value>::new(), "{role} {claim}");
        }
    }
    assert_eq!(seen("tenant", &json!(2)).await.len(), 1);
    // Where the column holds objects, an object is compared.
    assert_eq!(seen("more", &json!({"ne": 0})).await[0]["id"], 1);
    assert_eq!(seen("more", &json!({"ne": 5})).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_list_in_a_setting_has_the_items_of_the_claim() {
    let database = Database::of(
        "CREATE TABLE film (id integer PRIMARY KEY, type text);
         INSERT INTO film VALUES (1, 'movie'), (2, 'tv');
         ALTER TABLE film ENABLE ROW LEVEL SECURITY;
         CREATE POLICY entitled ON film
             USING (type = ANY (nullif(current_setting('app.types', true), '')::text[]));
         DO $$ BEGIN CREATE ROLE attack_viewer; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         GRANT SELECT ON film TO attack_viewer",
    )
    .await;
    let viewer = Role {
        database_role: Some("attack_viewer".into()),
        session: [("app.types".to_owned(), Setting::Claim("types".into()))].into(),
        ..Role::everywhere("viewer", [Action::Select])
    };
    let engine =
        database.engine_with(Settings { roles: vec![viewer], ..Settings::default() }).await;
    for (claim, expected) in [
        (json!(["movie"]), 1),
        (json!(["movie", "tv", null]), 2),
        (json!([["movie", "tv"]]), 0),
        (json!([{"movie": "tv"}]), 0),
        (json!(["movie,tv"]), 0),
        (json!(["x\",\"movie"]), 0),
        (json!(["x\\", "tv"]), 1),
        (json!([]), 0),
        (json!(null), 0),
    ] {
        let caller = Principal::new("mallory", "viewer").claim("types", claim.clone());
        let reply = call_as(&engine, &caller, "select", json!({"table": "film"})).await.unwrap();
        assert_eq!(reply["row_count"], expected, "{claim}: {reply}");
    }
}
