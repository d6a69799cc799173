//! Settings that do not fit the database, as reported to an embedding application.

use std::collections::BTreeMap;

use mcp_pg_core::policy::{Action, Grant, Mask, Role};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call_as, object, rows};
use serde_json::json;

fn clerk(grants: Vec<Grant>) -> Settings {
    let role = Role { name: "clerk".into(), grants, ..Role::default() };
    Settings { roles: vec![role], default_role: "clerk".into(), ..Settings::default() }
}

fn reads(table: &str) -> Grant {
    let actions = [Action::Select].into_iter().collect();
    Grant { tables: vec![table.into()], actions, ..Grant::default() }
}

#[tokio::test]
async fn a_table_without_a_schema_is_one_of_the_first() {
    let database = Database::shop().await;
    let engine = database.engine_with(clerk(vec![reads("users"), reads("order*")])).await;
    let caller = Principal::new("someone", "clerk");
    for table in ["users", "orders", "order_items"] {
        let read = json!({"table": table, "limit": 1});
        let reply = call_as(&engine, &caller, "select", read).await.unwrap();
        assert_eq!(rows(&reply).len(), 1, "{table}");
    }
    assert_eq!(engine.findings(), Vec::<String>::new());
    assert!(engine.reconfigure(clerk(vec![reads("products")])).await.unwrap());
    let read = json!({"table": "products", "limit": 1});
    assert!(call_as(&engine, &caller, "select", read).await.is_ok());
}

#[tokio::test]
async fn settings_that_fit_nothing_are_reported_by_their_keys() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    assert_eq!(engine.findings(), Vec::<String>::new());
    let mut users = reads("users");
    users.rows = Some(object(json!({"nope": 1})));
    users.columns.mask = [("emial".to_owned(), Mask::Full)].into();
    users.preset = BTreeMap::from([("nobody".to_owned(), json!(1))]);
    let mut orders = reads("orders");
    orders.rows = Some(object(json!({"user_id": "abc"})));
    let mut settings = clerk(vec![users, orders, reads("ordres")]);
    settings.roles.push(Role::everywhere("clerk", [Action::Select]));
    settings.default_role = "nobody".into();
    settings.limits.default_rows = settings.limits.max_rows + 1;
    let engine = database.engine_with(settings).await;
    let told = engine.findings();
    for (finding, expected) in told.iter().zip([
        "default_role: there is no role \"nobody\"",
        "roles.clerk: defined several times",
        "limits.default_rows (1001) is more than limits.max_rows (1000)",
        "roles.clerk.grants[0].columns.mask: no such table has a column \"emial\"; did you mean email?",
        "roles.clerk.grants[0].preset: no such table has a column \"nobody\"",
        "roles.clerk.grants[2]: public.ordres matches no table",
        "roles.clerk.grants[0].rows: public.users: unknown_column",
        "roles.clerk.grants[1].rows: public.orders: invalid_value",
    ]) {
        assert!(finding.starts_with(expected), "{finding} is not {expected}");
    }
    assert_eq!(told.len(), 8, "{told:?}");
}

/// The author of the second grant meant a limit, which is off.
#[tokio::test]
async fn a_grant_that_never_decides_is_told() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let mut narrow = reads("users");
    narrow.rows = Some(object(json!({"user_id": 1})));
    narrow.columns.exclude = vec!["email".into()];
    let mut broad = narrow.clone();
    broad.actions = [Action::Select, Action::Update].into_iter().collect();
    let update = Grant { actions: broad.actions, ..reads("users") };
    let told = "roles.clerk.grants[1]: has no effect on select: for public.users, grants[0] comes first and decides";
    for (grants, expected) in [
        (vec![reads("*"), narrow.clone()], Some(told)),
        (vec![reads("*"), broad], Some(told)),
        (vec![narrow.clone(), narrow.clone()], Some(told)),
        (vec![reads("*"), update.clone()], None),
        (vec![narrow.clone(), update], None),
        (vec![narrow, reads("*")], None),
    ] {
        assert!(engine.reconfigure(clerk(grants)).await.unwrap());
        let findings = engine.findings();
        assert_eq!(findings.len(), usize::from(expected.is_some()), "{findings:?}");
        let all = expected.into_iter().zip(&findings);
        all.for_each(|(told, finding)| assert!(finding.starts_with(told), "{finding}"));
    }
}

#[tokio::test]
async fn a_column_to_decrypt_that_is_not_encrypted_is_told() {
    let database = Database::shop().await;
    let mut users = reads("users");
    users.columns.decrypt = vec!["email".into()];
    let mut settings = clerk(vec![users]);
    let told = database.engine_with(settings.clone()).await.findings();
    let expected = "roles.clerk.grants[0].columns.decrypt: \"email\" is encrypted in no such table";
    assert!(matches!(&told[..], [told] if told.starts_with(expected)), "{told:?}");
    settings.encryption.columns = vec!["public.users.email".into()];
    let told = database.engine_with(settings).await.findings();
    assert!(!told.iter().any(|told| told.contains("columns.decrypt")), "{told:?}");
}

#[tokio::test]
async fn an_archive_column_of_another_type_is_told() {
    let database =
        Database::of("CREATE TABLE page (id integer PRIMARY KEY, gone boolean, left_at date);")
            .await;
    let engine = database.engine().await;
    for (column, expected) in [
        ("gone", Some("archive.column: no column \"gone\" is a nullable date or timestamp")),
        ("nope", Some("archive.column: no table has a column \"nope\"")),
        ("left_at", None),
    ] {
        let mut settings = clerk(vec![reads("page")]);
        settings.archive.column = column.to_owned();
        assert!(engine.reconfigure(settings).await.unwrap());
        let expected: Vec<String> = expected.map(str::to_owned).into_iter().collect();
        assert_eq!(engine.findings(), expected, "{column}");
    }
}

/// The usual login may do nothing itself, and its roles may do all.
#[tokio::test]
async fn findings_are_about_what_a_database_role_sees() {
    let database = Database::of(
        "CREATE SCHEMA sales; CREATE TABLE sales.orders (id integer PRIMARY KEY, tenant integer);
         CREATE TABLE own (id integer PRIMARY KEY);
         CREATE ROLE findings_login LOGIN NOINHERIT; CREATE ROLE findings_role NOLOGIN;
         GRANT findings_role TO findings_login; GRANT USAGE ON SCHEMA sales TO findings_role;
         GRANT SELECT ON sales.orders TO findings_role",
    )
    .await;
    let mut config = database.config.clone();
    config.user("findings_login");
    let mut orders = reads("sales.*");
    orders.rows = Some(object(json!({"tenant": 1})));
    let mut settings = clerk(vec![orders, reads("sales.ordres")]);
    settings.schemas.push("sales".into());
    settings.roles[0].database_role = Some("findings_role".into());
    settings.columns.sensitive = vec!["sales.orders.tenant".into(), "sales.orders.nope".into()];
    settings.concurrency.version_column = Some("version".into());
    let expected = [
        "roles.clerk.grants[1]: sales.ordres matches no table",
        "columns.sensitive: \"sales.orders.nope\" matches no column",
    ];
    for grant in ["", "GRANT SELECT ON own TO findings_login"] {
        if !grant.is_empty() {
            database.sql(grant).await;
        }
        let engine = Engine::connect(config.clone(), settings.clone()).await.unwrap();
        assert_eq!(engine.findings(), expected, "{grant}");
    }
}
