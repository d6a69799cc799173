//! Names of tables and columns that the role may not see.

use mcp_pg_tests::Database;
use serde_json::{Value, json};

use super::place::places;
use super::{FIXTURE, ROLES, answer, caller, dump, start};

/// Where a name may stand; `{}` stands for the name.
fn with_name(name: &str) -> Vec<(&'static str, Value)> {
    let mut all: Vec<(&'static str, Value)> = places(name)
        .into_iter()
        .filter(|(_, arguments)| arguments.to_string().contains(name))
        .collect();
    all.extend([
        ("select", json!({"table": name})),
        ("select", json!({"table": format!("public.{name}")})),
        ("select", json!({"table": format!("inner_{name}.codes")})),
        ("select", json!({"table": "client", "where": {name: {"some": {"amount": {"gt": 100}}}}})),
        ("select", json!({"table": "note", "where": {"client": {name: "x"}}})),
        ("select", json!({"table": "note", "order_by": [format!("client.{name}")]})),
        ("aggregate", json!({"table": "note", "group_by": [format!("client.{name}")], "measures": {"n": {"count": "*"}}})),
        ("select", json!({"table": "client", "include": {format!("{name}_by_client"): true}})),
        ("select", json!({"table": "client", "include": {format!("codes_via_{name}"): true}})),
    ]);
    all
}

#[tokio::test]
async fn hidden_names_get_the_same_errors_as_unknown_ones() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    let before = dump(&database).await;
    let mut calls = 0;
    for role in ROLES {
        let caller = caller(role);
        for hidden in [
            "pin_zq",
            "ssn_zq",
            "code_zq",
            "made_zq",
            "aside_zq",
            "pay_zq",
            "open_zq",
            "inner_zq",
            "index_zq",
            "limit_zq",
            "pin_zq_key",
            "mail_zq",
        ] {
            // As far from every visible name as the hidden one.
            let absent = hidden.replace("zq", "xw");
            for (spelled, other) in with_name(hidden).into_iter().zip(with_name(&absent)) {
                let told = answer(&engine, &caller, spelled.0, spelled.1.clone()).await;
                let twin = answer(&engine, &caller, other.0, other.1).await;
                assert_eq!(told.replace("zq", "xw"), twin, "{role} {} {}", spelled.0, spelled.1);
                calls += 1;
            }
        }
        // A grave mistake in a row of someone else is like one in a row that is not there.
        for tool in ["update", "archive", "delete", "select"] {
            let of = |id: u32| match tool {
                "select" => json!({"table": "client", "where": {"id": id}}),
                "update" => {
                    json!({"table": "client", "where": {"id": id}, "updates": {"name": "x"}, "if_version": "1"})
                }
                _ => json!({"table": "client", "where": {"id": id}, "if_version": "1"}),
            };
            let others = answer(&engine, &caller, tool, of(3)).await;
            assert_eq!(others, answer(&engine, &caller, tool, of(7)).await, "{role} {tool}");
        }
    }
    assert_eq!(dump(&database).await, before);
    assert!(calls > 2_000, "{calls} calls");
}
