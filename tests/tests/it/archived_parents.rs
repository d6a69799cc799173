//! Rows whose related rows are archived: what is written from them, and conditions on them.

use mcp_pg_core::policy::{Action, Grant, Role};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, object, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE TABLE customer (id integer PRIMARY KEY, kind text, rep_id integer, rate numeric, archived_at timestamptz);
    CREATE TABLE sale (id integer PRIMARY KEY, customer_id integer REFERENCES customer, rep_id integer,
                       cents integer NOT NULL);
    INSERT INTO customer VALUES (1, 'cafe', 6, 2, NULL), (2, 'cafe', 7, 3, now());
    INSERT INTO sale VALUES (1, 1, 10, 100), (2, 2, 11, 100), (3, NULL, 12, 100);";

/// Null over the old value would be lost data.
#[tokio::test]
async fn values_are_taken_from_archived_rows() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let updated = async |more: Value| {
        let mut arguments = object(json!({"table": "sale", "returning": ["rep_id", "cents"]}));
        arguments.extend(object(more));
        let reply = call(&engine, "operator", "update", Value::Object(arguments)).await.unwrap();
        (rows(&reply).to_vec(), reply.get("notes").cloned())
    };
    let set = json!({"rep_id": {"$column": "customer.rep_id"},
                     "cents": {"$compute": {"multiply": ["cents", "customer.rate"]}}});
    let (found, notes) = updated(json!({"where": {"id": 2}, "updates": set})).await;
    assert_eq!((found, notes), (vec![json!({"rep_id": 7, "cents": 300})], None));
    let list = json!([{"id": 1, "rep_id": {"$column": "customer.rep_id"}},
                      {"id": 2, "rep_id": {"$column": "customer.id"}}]);
    let (found, notes) = updated(json!({"where": {}, "updates": list})).await;
    let rep = |rep: i32, cents: i32| json!({"rep_id": rep, "cents": cents});
    assert_eq!((found, notes), (vec![rep(6, 100), rep(2, 300)], None));
    // Of a condition in the same statement, the archived row is still left out.
    let (found, _) = updated(json!({
        "where": {"rep_id": {"lt": {"$column": "customer.rep_id"}}},
        "updates": {"rep_id": {"$column": "customer.rep_id"}}
    }))
    .await;
    assert!(found.is_empty(), "{found:?}");
}

/// A row without a related row that the caller sees.
#[tokio::test]
async fn a_value_of_no_row_is_null_and_told() {
    let grant = |table: &str, rows: Option<Value>| Grant {
        tables: vec![table.to_owned()],
        actions: Action::ALL.into_iter().collect(),
        rows: rows.map(object),
        ..Grant::default()
    };
    let grants = vec![grant("public.customer", Some(json!({"id": 1}))), grant("public.sale", None)];
    let role = Role { name: "agent".into(), grants, ..Role::default() };
    let settings =
        Settings { roles: vec![role], default_role: "agent".into(), ..Settings::default() };
    let engine = Database::of(FIXTURE).await.engine_with(settings).await;
    let caller = Principal::new("x", "agent");
    let updated = async |engine: &Engine, id: i32| {
        let arguments = json!({"table": "sale", "where": {"id": id}, "dry_run": true,
                               "updates": {"rep_id": {"$column": "customer.rep_id"}}});
        let reply = call_as(engine, &caller, "update", arguments).await.unwrap();
        (reply["after"][0]["rep_id"].clone(), reply["notes"][0].clone())
    };
    let note =
        json!("rep_id is null where customer.rep_id is, or where the caller sees no such row");
    assert_eq!(updated(&engine, 1).await, (json!(6), Value::Null));
    // Hidden and missing rows are alike.
    assert_eq!(updated(&engine, 2).await, (Value::Null, note.clone()));
    assert_eq!(updated(&engine, 3).await, (Value::Null, note));
}

/// What a condition or measure of an archived row leaves out is said whatever was found.
#[tokio::test]
async fn what_is_left_out_with_an_archived_row_is_told() {
    let engine = Database::of(&format!(
        "{FIXTURE}
         CREATE TABLE payment (id integer PRIMARY KEY, sale_id integer REFERENCES sale, archived_at timestamptz);
         CREATE TABLE owner (id integer PRIMARY KEY, customer_id integer REFERENCES customer, archived_at timestamptz);
         INSERT INTO payment VALUES (1, 1), (2, 2); INSERT INTO owner VALUES (1, 1), (2, 2);"
    ))
    .await
    .engine()
    .await;
    let notes = async |tool: &str, table: &str, more: Value| {
        let mut arguments = object(json!({"table": table}));
        arguments.extend(object(more));
        let told = call(&engine, "operator", tool, Value::Object(arguments)).await.unwrap();
        told.get("notes").cloned().unwrap_or(json!([]))
    };
    let cafe = json!({"customer": {"kind": "cafe"}});
    let left = "rows whose customer is archived are left out";
    let both = json!([format!("{left}: \"archived\": \"include\" includes them, too")]);
    let n = json!({"n": {"count": "*"}});
    assert_eq!(notes("select", "sale", json!({"where": cafe})).await, both);
    assert_eq!(notes("aggregate", "sale", json!({"where": cafe, "measures": n})).await, both);
    let rate = json!({"total": {"sum": {"multiply": ["cents", "customer.rate"]}}});
    assert_eq!(notes("aggregate", "sale", json!({"measures": rate})).await, both);
    let dear = json!({"compute": {"multiply": ["cents", "customer.rate"], "gt": 1}});
    assert_eq!(notes("select", "sale", json!({"where": dear, "limit": 1})).await, both);
    let set = json!({"where": cafe, "updates": {"cents": 1}});
    assert_eq!(notes("update", "sale", set).await, both);
    // Where nothing is found, too.
    let none = json!({"where": {"customer": {"kind": "bar"}}, "updates": {"cents": 1}});
    let none = notes("update", "sale", none).await;
    assert!(none.as_array().unwrap().contains(&both[0]), "{none}");
    for plain in [
        json!({"where": cafe, "archived": "include"}),
        json!({"where": {"customer_id": 2}}),
        json!({"order_by": ["customer.rate"]}),
    ] {
        assert_eq!(notes("select", "sale", plain.clone()).await, json!([]), "{plain}");
    }
    let shown = json!({"columns": [{"multiply": ["cents", "customer.rate"], "as": "due"}]});
    let told = notes("select", "sale", shown).await;
    assert!(told[0].as_str().unwrap().starts_with("due is also null if customer is"), "{told}");

    let not = notes("select", "sale", json!({"where": {"not": cafe}})).await;
    let found = "rows whose customer is archived meet what is negated";
    assert!(not[0].as_str().unwrap().starts_with(found), "{not}");
    let twice = notes("select", "sale", json!({"where": {"not": {"not": cafe}}})).await;
    assert_eq!(twice, both);
    let some = notes("select", "payment", json!({"where": {"sale": cafe}})).await;
    assert_eq!(
        some,
        // There, `archived` and `where` would be about other rows.
        json!(["rows of public.sale whose customer is archived are left out"])
    );
    // The table's own archived rows stay out.
    let own = notes("select", "owner", json!({"where": cafe})).await;
    assert!(own[0].as_str().unwrap().contains("with {\"archived_at\": null} in where"), "{own}");
    let archive = notes("archive", "owner", json!({"where": cafe})).await;
    assert_eq!(archive, json!([left]));
}

/// Archived rows of a to-many relation do not count, whatever is asked of them.
#[tokio::test]
async fn archived_children_are_told_of() {
    let engine = Database::of(
        "CREATE TABLE breed (id integer PRIMARY KEY, name text);
         CREATE TABLE client (id integer PRIMARY KEY, name text, archived_at timestamptz);
         CREATE TABLE pet (id integer PRIMARY KEY, client_id integer REFERENCES client, breed_id integer REFERENCES breed,
                           died date, archived_at timestamptz);
         INSERT INTO breed VALUES (1, 'Pug'); INSERT INTO client VALUES (1, 'A'), (2, 'B');
         INSERT INTO pet VALUES (1, 1, 1, NULL, NULL), (2, 2, 1, '2026-01-01', now());",
    )
    .await
    .engine()
    .await;
    let notes = async |tool: &str, more: Value| {
        let told = call(&engine, "operator", tool, more).await.unwrap();
        told.get("notes").cloned().unwrap_or(json!([]))
    };
    let left = "archived rows of pet are left out: \"archived\": \"include\"";
    let own = json!([format!("{left} with {{\"archived_at\": null}} in where includes them, too")]);
    for asked in [
        json!({"none": {}}),
        json!({"some": {"died": null}, "none": {"id": 7}}),
        json!({"every": {"died": null}}),
        json!({"count": {"eq": 0}}),
    ] {
        let select = json!({"table": "client", "where": {"pet": asked}, "limit": 1});
        assert_eq!(notes("select", select.clone()).await, own, "{asked}");
        let mut all = select;
        all["archived"] = json!("include");
        assert_eq!(notes("select", all).await, json!([]), "{asked}");
    }
    let sum = json!({"table": "breed", "measures": {"n": {"sum": {"count": "pet"}}}});
    assert_eq!(notes("aggregate", sum).await, json!([format!("{left} includes them, too")]));
    let shown = json!({"table": "breed", "columns": ["id", {"count": "pet", "as": "pets"}]});
    assert_eq!(notes("select", shown).await, json!([format!("{left} includes them, too")]));
    let below = json!({"table": "pet", "where": {"breed": {"pet": {"some": {"id": 1}}}}});
    assert_eq!(notes("select", below).await, json!(["archived rows of pet are left out"]));
    for plain in [
        json!({"table": "client", "include": {"pet": true}}),
        json!({"table": "breed", "order_by": [{"count": "pet"}]}),
        json!({"table": "pet", "where": {"breed": {"name": "Pug"}}}),
    ] {
        assert_eq!(notes("select", plain.clone()).await, json!([]), "{plain}");
    }
}

/// Rows that a row rule hides are missing like archived ones; a note says so, whether there are any or not.
#[tokio::test]
async fn what_a_hidden_row_leaves_out_is_told() {
    let database = Database::of(&format!(
        "{FIXTURE} CREATE TABLE crew (id integer PRIMARY KEY, name text);
         CREATE TABLE job (id integer PRIMARY KEY, crew_id integer REFERENCES crew, cents integer, days integer NOT NULL);
         INSERT INTO crew VALUES (1, 'A'), (2, 'B'); INSERT INTO job VALUES (1, 1, 5, 2), (2, 2, 5, 2);"
    ))
    .await;
    let grant = |table: &str, rows: Option<Value>| Grant {
        tables: vec![table.to_owned()],
        actions: Action::ALL.into_iter().collect(),
        rows: rows.map(object),
        ..Grant::default()
    };
    let own = || Some(json!({"id": 1}));
    let mut grants = vec![grant("public.job", None), grant("public.sale", None)];
    grants.extend([grant("public.crew", own()), grant("public.customer", own())]);
    let role = Role { name: "agent".into(), grants, ..Role::default() };
    let settings =
        Settings { roles: vec![role], default_role: "agent".into(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let caller = Principal::new("x", "agent");
    let notes = async |tool: &str, table: &str, more: Value| {
        let mut arguments = object(json!({"table": table}));
        arguments.extend(object(more));
        let told = call_as(&engine, &caller, tool, Value::Object(arguments)).await.unwrap();
        told.get("notes").cloned().unwrap_or(json!([]))
    };
    let hidden = "not visible to the caller";
    let null = json!([format!("crew.name is also null if crew is {hidden}")]);
    let n = json!({"n": {"count": "*"}});
    let groups = json!({"group_by": ["crew.name"], "measures": n});
    assert_eq!(notes("aggregate", "job", groups).await, null);
    let shown = json!({"columns": ["id", "crew.name"]});
    assert_eq!(notes("select", "job", shown.clone()).await, null);
    let told = notes("select", "job", json!({"include": {"crew": true}})).await;
    assert_eq!(told, json!([format!("crew is null if there is none or if it is {hidden}")]));
    let found = format!(
        "{{\"crew\": null}} also finds rows whose crew is {hidden}: {{\"crew_id\": null}} tests the key alone"
    );
    let none = json!({"where": {"crew": null}});
    assert_eq!(notes("select", "job", none).await, json!([found]));
    let not = json!({"where": {"not": {"crew": {"name": "A"}}}});
    let met = json!([format!("rows whose crew is {hidden} meet what is negated")]);
    assert_eq!(notes("select", "job", not).await, met);
    let sum = json!({"measures": {"t": {"sum": {"multiply": ["days", "crew.id"]}}}});
    let left = json!([format!("rows whose crew is {hidden} are left out")]);
    assert_eq!(notes("aggregate", "job", sum).await, left);
    // Neither where no value is missing, nor where a condition finds less than there is.
    for plain in [
        json!({"columns": ["crew.name"], "where": {"id": 1}}),
        json!({"where": {"crew": {"name": "A"}}}),
        json!({"order_by": ["crew.name"]}),
    ] {
        assert_eq!(notes("select", "job", plain.clone()).await, json!([]), "{plain}");
    }
    // Of two causes, the archive is but one.
    let both = "archived or not visible to the caller";
    let told = notes("select", "sale", json!({"columns": ["customer.kind"]})).await;
    assert_eq!(
        told,
        json!([format!(
            "customer.kind is also null if customer is {both}: \"archived\": \"include\" includes archived rows"
        )])
    );
    let told = notes("select", "sale", json!({"where": {"customer": {"kind": "cafe"}}})).await;
    assert_eq!(
        told,
        json!([format!(
            "rows whose customer is {both} are left out: \"archived\": \"include\" includes those of archived ones, too"
        )])
    );
    let told = notes("select", "customer", json!({"where": {"id": 2}})).await;
    let among = "no row matches where among those visible to the caller; archived rows were left";
    assert!(told[0].as_str().unwrap().starts_with(among), "{told}");
}
