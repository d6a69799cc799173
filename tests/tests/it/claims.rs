//! Claims in row conditions. An empty claim matches no rows.

use mcp_pg_core::policy::{Action, Grant, Role, Setting};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, object, rows};
use serde_json::{Value, json};

use crate::write_rights::{STAFF, engine, grant};

#[tokio::test]
async fn a_null_within_a_claim_shows_nothing() {
    let database = Database::of(STAFF).await;
    let reads = Grant {
        rows: Some(object(json!({"tenant": {"in": "claim:tenants"}}))),
        ..grant(&[Action::Select])
    };
    let engine = engine(&database, vec![reads], &[]).await;
    for (claim, expected) in [
        (json!([null]), vec![]),
        (json!([1, null]), vec![1]),
        (json!(null), vec![]),
        (json!([1, 2]), vec![1, 2]),
    ] {
        let caller = Principal::new("x", "clerk").claim("tenants", claim.clone());
        let reply = call_as(&engine, &caller, "select", json!({"table": "staff"})).await.unwrap();
        let ids: Vec<i64> = rows(&reply).iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert_eq!(ids, expected, "{claim}");
    }
}

#[tokio::test]
async fn a_claim_that_holds_nothing_shows_nothing() {
    let database = Database::of(
        "CREATE EXTENSION ltree;
         CREATE TABLE lab (id integer PRIMARY KEY, tenant integer, name text, labels text[], meta jsonb, path ltree, r int4range,
           mr int4multirange);
         INSERT INTO lab VALUES (1, 1, 'ann', '{a}', '{\"app\": {\"l\": \"ann\"}}', 'a.b', '[1,9]', '{[1,9]}'),
           (2, NULL, 'bob', '{b}', '[1]', 'a', '[3,4]', '{[3,4]}'), (3, 3, NULL, NULL, NULL, NULL, NULL, NULL),
           (4, 4, 'eve', '{a,b}', '{}', 'c', 'empty', '{}')",
    )
    .await;
    let nothing = [
        json!([null]),
        json!([]),
        json!({}),
        json!(""),
        json!(null),
        json!("empty"),
        json!("[5,5)"),
        json!({"lower": 5, "upper": 5}),
        json!({"bounds": "empty"}),
        json!([[]]),
        json!([[], [null]]),
        json!(" "),
    ];
    let of = "claim:/app/l";
    for (rule, something, expected) in [
        (json!({"labels": {"contains": of}}), json!(["a"]), vec![1, 4]),
        (json!({"labels": {"contains": [of]}}), json!("a"), vec![1, 4]),
        (json!({"labels": {"overlaps": of}}), json!(["a", null]), vec![1, 4]),
        (json!({"meta": {"contains": of}}), json!([1]), vec![2]),
        (json!({"meta": {"contains": {"app": {"l": of}}}}), json!("ann"), vec![1]),
        (json!({"meta": {"has_key": of}}), json!(["app"]), vec![1]),
        (json!({"meta": {"path": ["app"], "contains": of}}), json!({"l": "ann"}), vec![1]),
        (json!({"name": {"contains": of}}), json!("b"), vec![2]),
        (json!({"name": {"starts_with": of}}), json!("e"), vec![4]),
        (json!({"name": {"matches": of}}), json!("^b"), vec![2]),
        (json!({"path": {"contained_by": of}}), json!("a.b"), vec![1]),
        (json!({"r": {"contains": of}}), json!("[2,5)"), vec![1]),
        (json!({"r": {"contains": of}}), json!(3), vec![1, 2]),
        (json!({"not": {"r": {"contains": of}}}), json!("[2,5)"), vec![2, 4]),
        (json!({"mr": {"contains": of}}), json!("[2,5)"), vec![1]),
        (json!({"mr": {"contains": of}}), json!("{[2,3],[5,6]}"), vec![1]),
        (json!({"not": {"mr": {"contains": of}}}), json!("[2,5)"), vec![2, 4]),
        (json!({"meta": {"contains": "claim:*"}}), json!("ann"), vec![1]),
    ] {
        let reads = Grant { rows: Some(object(rule.clone())), ..grant(&[Action::Select]) };
        let engine = engine(&database, vec![reads], &[]).await;
        let read = async |caller: &Principal| {
            let reply = call_as(&engine, caller, "select", json!({"table": "lab"})).await;
            let ids = |reply: Value| {
                rows(&reply).iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>()
            };
            reply.map(ids).unwrap_or_default()
        };
        let caller = || Principal::new("x", "clerk");
        assert_eq!(read(&caller().claim("app", json!({"l": something}))).await, expected, "{rule}");
        assert!(read(&caller()).await.is_empty(), "{rule}");
        for claim in nothing.iter().filter(|_| !rule.to_string().contains('*')) {
            let caller = caller().claim("app", json!({"l": claim}));
            assert!(read(&caller).await.is_empty(), "{rule} {claim}");
        }
    }
    // What is of another kind is neither more nor not more than a number.
    let rule = object(json!({"not": {"meta": {"path": ["app"], "gt": 5}}}));
    let reads = Grant { rows: Some(rule), ..grant(&[Action::Select]) };
    let numbered = engine(&database, vec![reads], &[]).await;
    let reply = call(&numbered, "clerk", "select", json!({"table": "lab"})).await.unwrap();
    assert!(rows(&reply).is_empty(), "{reply}");
    // Nobody is banned by an empty list; who is by one of nulls, nobody knows.
    let rule = object(json!({"tenant": {"not_in": of}}));
    let reads = Grant { rows: Some(rule), ..grant(&[Action::Select]) };
    let engine = engine(&database, vec![reads], &[]).await;
    for (claim, expected) in [(json!([]), 4), (json!([3]), 2), (json!([null]), 0)] {
        let caller = Principal::new("x", "clerk").claim("app", json!({"l": claim}));
        let reply = call_as(&engine, &caller, "select", json!({"table": "lab"})).await.unwrap();
        assert_eq!(rows(&reply).len(), expected, "{claim}");
    }
}

/// PostgreSQL's settings hold texts: without the claim, the policy casts the empty one.
#[tokio::test]
async fn a_policy_that_cannot_do_without_the_claim_is_told_of_it() {
    let database = Database::of(
        "DO $$ BEGIN CREATE ROLE claims_reader; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         CREATE TABLE account (id integer PRIMARY KEY, tenant integer); INSERT INTO account VALUES (1, 7);
         ALTER TABLE account ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON account USING (tenant = current_setting('app.tenant', true)::integer);
         CREATE TABLE note (id integer PRIMARY KEY, tenant integer); INSERT INTO note VALUES (1, 7);
         ALTER TABLE note ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON note USING (tenant = nullif(current_setting('app.tenant', true), '')::integer);
         GRANT SELECT, UPDATE ON account, note TO claims_reader;",
    )
    .await;
    let mut reader = Role::everywhere("reader", [Action::Select, Action::Update]);
    reader.database_role = Some("claims_reader".into());
    reader.session = [("app.tenant".into(), Setting::Claim("tenant".into()))].into();
    let settings = Settings { roles: vec![reader], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let caller = Principal::new("x", "reader");
    for (tool, more) in [("select", json!({})), ("update", json!({"updates": {"tenant": 8}}))] {
        let of = |table: &str| {
            let mut arguments = json!({"table": table, "where": {"id": 1}});
            arguments.as_object_mut().unwrap().extend(object(more.clone()));
            arguments
        };
        let told = call_as(&engine, &caller, tool, of("account")).await.unwrap_err();
        assert_eq!((told.code().as_str(), told.get_sqlstate()), ("forbidden", Some("22P02")));
        assert!(told.message().contains("no claim tenant"), "{told}");
        assert_eq!(call_as(&engine, &caller, tool, of("note")).await.unwrap()["row_count"], 0);
    }
    // Whatever else a text is that is no number is the claim's own fault.
    let other = caller.claim("tenant", "seven");
    let select = json!({"table": "account"});
    let told = call_as(&engine, &other, "select", select).await.unwrap_err();
    assert_eq!(told.code().as_str(), "invalid_value");
}
