//! Who may call a query, as whom it runs, and what the server fills in.

use mcp_pg_core::policy::{Action, Role, Setting};
use mcp_pg_core::{Engine, Principal};
use mcp_pg_tests::{Database, call, call_as, error, until};
use serde_json::{Value, json};

use super::{directory, engine, faults, input, names, settings};

#[tokio::test]
async fn claims_are_the_servers_to_fill() {
    let database = Database::of(
        "CREATE TABLE note (id integer, tenant integer); INSERT INTO note VALUES (1, 7), (2, 8)",
    )
    .await;
    let engine = engine(
        &database,
        [(
            "notes.sql",
            "-- @param tenant = claim:tenant_id\nSELECT id FROM note WHERE tenant = :tenant",
        )],
    )
    .await;
    assert_eq!(input(&engine, "notes")["properties"], json!({}));
    let caller = Principal::new("tester", "analyst");
    for (claim, expected) in
        [(json!(7), json!([{"id": 1}])), (json!("8"), json!([{"id": 2}])), (Value::Null, json!([]))]
    {
        let caller = caller.clone().claim("tenant_id", claim);
        let reply = call_as(&engine, &caller, "notes", json!({})).await.unwrap();
        assert_eq!(reply["rows"], expected);
    }
    let reply = call_as(&engine, &caller, "notes", json!({})).await.unwrap();
    assert_eq!(reply["rows"], json!([]), "without the claim there is nothing");
    let given = call_as(&engine, &caller, "notes", json!({"tenant": 7})).await.unwrap_err();
    assert_eq!(given.code().as_str(), "unknown_argument");
    let odd = caller.claim("tenant_id", "drop");
    let odd = call_as(&engine, &odd, "notes", json!({})).await.unwrap_err();
    assert_eq!(odd.code().as_str(), "forbidden");
    assert!(!odd.to_string().contains("drop"));
}

#[tokio::test]
async fn a_text_claim_is_no_list() {
    let database = Database::of(
        "CREATE TABLE note (id integer, tenant text); INSERT INTO note VALUES (1, 'a'), (2, 'b'), (3, '{a,b}')",
    )
    .await;
    let text = "-- @param tenants text[] = claim:tenants\nSELECT id FROM note WHERE tenant = ANY (:tenants)";
    let engine = engine(&database, [("notes.sql", text)]).await;
    let caller = Principal::new("tester", "analyst");
    for (claim, expected) in [
        (json!(["a", "b"]), Some(json!([{"id": 1}, {"id": 2}]))),
        (json!(["{a,b}"]), Some(json!([{"id": 3}]))),
        (json!("{a,b}"), None),
        (json!("a"), None),
    ] {
        let caller = caller.clone().claim("tenants", claim.clone());
        let reply = call_as(&engine, &caller, "notes", json!({})).await;
        match expected {
            Some(rows) => assert_eq!(reply.unwrap()["rows"], rows, "{claim}"),
            None => assert_eq!(reply.unwrap_err().code().as_str(), "forbidden", "{claim}"),
        }
    }
}

#[tokio::test]
async fn a_query_runs_as_the_role_and_only_reads() {
    let database = Database::of(
        "CREATE TABLE title (id integer, kind integer); INSERT INTO title VALUES (1, 1), (2, 2);
         ALTER TABLE title ENABLE ROW LEVEL SECURITY;
         CREATE POLICY kinds ON title
           USING (kind = ANY (string_to_array(nullif(current_setting('rls.types', true), ''), ',')::int[]));
         DO $$ BEGIN CREATE ROLE canned_reader; EXCEPTION WHEN duplicate_object THEN END $$;
         GRANT SELECT ON title TO canned_reader;
         CREATE TABLE hidden (id integer);
         CREATE FUNCTION sneak() RETURNS integer LANGUAGE sql AS 'INSERT INTO hidden VALUES (1) RETURNING id'",
    )
    .await;
    let mut settings = settings(directory([
        (
            "titles.sql",
            "-- @roles viewer\nSELECT id, current_user::text AS who FROM title ORDER BY id",
        ),
        ("secret.sql", "-- @roles viewer\nSELECT id FROM hidden"),
        ("sneak.sql", "-- @roles analyst\nSELECT sneak()"),
        ("slow.sql", "-- @roles analyst\n-- @timeout 50ms\nSELECT pg_sleep(5)::text AS slept"),
        ("cast.sql", "-- @roles analyst\nSELECT rolname::text::int AS number FROM pg_roles"),
    ]));
    settings.roles.push(Role {
        name: "viewer".into(),
        database_role: Some("canned_reader".into()),
        session: [("rls.types".into(), Setting::Claim("types".into()))].into(),
        ..Role::default()
    });
    let engine = database.engine_with(settings).await;
    assert_eq!(faults(&engine), [] as [&str; 0]);
    let refused = engine.refused_queries();
    let expected =
        "secret.sql:2:1: roles.viewer may not run it: permission denied for table hidden";
    assert!(refused.len() == 1 && refused[0].ends_with(expected), "{refused:?}");
    let caller = Principal::new("tester", "viewer");
    let own = caller.clone().claim("types", "2");
    let reply = call_as(&engine, &own, "titles", json!({})).await.unwrap();
    assert_eq!(reply["rows"], json!([{"id": 2, "who": "canned_reader"}]));
    let unset = call_as(&engine, &caller, "titles", json!({})).await.unwrap();
    assert_eq!(unset["rows"], json!([]), "unset means nothing");
    assert_eq!(names(&engine, "viewer"), ["titles"]);
    let secret = call_as(&engine, &caller, "secret", json!({})).await.unwrap_err();
    assert_eq!(secret.code().as_str(), "unknown_argument");
    assert!(!secret.to_string().contains("hidden"), "{secret}");
    // A right is noticed like any other change of the schema.
    database.sql("GRANT SELECT ON hidden TO canned_reader").await;
    assert!(engine.reload().await.unwrap());
    assert_eq!(names(&engine, "viewer"), ["secret", "titles"]);
    database.sql("REVOKE SELECT ON hidden FROM canned_reader").await;
    // Before anyone has looked: PostgreSQL itself refuses.
    let secret = call_as(&engine, &caller, "secret", json!({})).await.unwrap_err();
    assert_eq!(secret.code().as_str(), "forbidden");
    assert!(!secret.to_string().contains("hidden"), "{secret}");
    let sneak = error(&engine, "analyst", "sneak", json!({})).await;
    assert_eq!((&sneak["code"], &sneak["sqlstate"]), (&json!("forbidden"), &json!("25006")));
    assert_eq!(error(&engine, "analyst", "slow", json!({})).await["code"], "timeout");
    // The connection that was slow has the usual time again.
    assert_eq!(error(&engine, "analyst", "sneak", json!({})).await["code"], "forbidden");
    let cast = error(&engine, "analyst", "cast", json!({})).await;
    assert_eq!(cast["code"], "invalid_value");
    assert!(!cast.to_string().contains("pg_"), "a value that the query read is told: {cast}");
}

#[tokio::test]
async fn a_right_beyond_the_served_schemas_is_noticed() {
    let database = Database::of(
        "CREATE SCHEMA apart; CREATE TABLE apart.note (id integer); INSERT INTO apart.note VALUES (1);
         DO $$ BEGIN CREATE ROLE canned_apart; EXCEPTION WHEN duplicate_object THEN END $$;
         GRANT USAGE ON SCHEMA apart TO canned_apart",
    )
    .await;
    let mut settings =
        settings(directory([("notes.sql", "-- @roles viewer\nSELECT id FROM apart.note")]));
    settings.roles.push(Role {
        name: "viewer".into(),
        database_role: Some("canned_apart".into()),
        ..Role::default()
    });
    let engine = std::sync::Arc::new(database.engine_with(settings).await);
    assert_eq!(names(&engine, "viewer"), [] as [&str; 0]);
    let follower = engine.clone();
    let following =
        tokio::spawn(async move { follower.follow(std::time::Duration::from_millis(200)).await });
    database.sql("GRANT SELECT ON apart.note TO canned_apart").await;
    until("the role has the query", async || names(&engine, "viewer") == ["notes"]).await;
    following.abort();
}

/// PostgreSQL runs such a function when it plans the query.
#[tokio::test]
async fn a_function_that_refuses_callers_without_a_claim_takes_no_tool_away() {
    let database = Database::of(
        "CREATE TABLE note (id integer PRIMARY KEY, tenant integer); INSERT INTO note VALUES (1, 7), (2, 8);
         CREATE TABLE tenants (id integer);
         DO $$ BEGIN CREATE ROLE canned_tenant; EXCEPTION WHEN duplicate_object THEN END $$;
         GRANT SELECT ON note TO canned_tenant;
         CREATE FUNCTION only_tenant() RETURNS integer LANGUAGE plpgsql STABLE AS $$ BEGIN
           IF coalesce(current_setting('app.tenant', true), '') = '' THEN RETURN (SELECT id FROM tenants); END IF;
           RETURN current_setting('app.tenant'); END $$;
         CREATE FUNCTION tenant() RETURNS integer LANGUAGE plpgsql STABLE AS $$ BEGIN
           IF coalesce(current_setting('app.tenant', true), '') = '' THEN
             RAISE insufficient_privilege USING MESSAGE = 'who are you?';
           END IF;
           RETURN current_setting('app.tenant'); END $$",
    )
    .await;
    let mut settings = settings(directory([
        ("notes.sql", "-- @roles viewer\nSELECT id FROM note WHERE tenant = tenant()"),
        ("own.sql", "-- @roles viewer\nSELECT id FROM note WHERE tenant = only_tenant()"),
    ]));
    settings.roles.push(Role {
        name: "viewer".into(),
        database_role: Some("canned_tenant".into()),
        session: [("app.tenant".into(), Setting::Claim("tenant".into()))].into(),
        ..Role::default()
    });
    let engine = database.engine_with(settings).await;
    assert_eq!(engine.refused_queries(), [] as [&str; 0]);
    let caller = Principal::new("tester", "viewer").claim("tenant", "8");
    for query in ["notes", "own"] {
        let reply = call_as(&engine, &caller, query, json!({})).await.unwrap();
        assert_eq!(reply["rows"], json!([{"id": 2}]), "{query}");
    }
}

/// As VACUUM FULL does.
#[tokio::test]
async fn a_locked_partition_takes_no_tool_away_and_little_time() {
    let database = Database::of(
        "CREATE SCHEMA apart; CREATE TABLE apart.note (id integer) PARTITION BY RANGE (id);
         CREATE TABLE apart.note_1 PARTITION OF apart.note DEFAULT; INSERT INTO apart.note VALUES (1);",
    )
    .await;
    let mut locking = database.client().await;
    let lock = locking.transaction().await.unwrap();
    lock.execute("LOCK TABLE apart.note_1 IN ACCESS EXCLUSIVE MODE", &[]).await.unwrap();
    let text = "-- @roles analyst\nSELECT id FROM apart.note";
    let files = [("a.sql", text), ("b.sql", text), ("c.sql", text), ("d.sql", text)];
    let connected = database.engine_with(settings(directory(files)));
    // Four locks would have taken longer.
    let engine = tokio::time::timeout(std::time::Duration::from_secs(15), connected).await.unwrap();
    assert_eq!(names(&engine, "analyst"), ["a", "b", "c", "d"]);
    lock.rollback().await.unwrap();
    let reply = call(&engine, "analyst", "a", json!({})).await.unwrap();
    assert_eq!(reply["rows"], json!([{"id": 1}]));
}

#[tokio::test]
async fn without_roles_a_query_is_for_those_to_whom_it_tells_nothing_new() {
    let database = Database::shop().await;
    let mut settings = settings(directory([
        ("read.sql", "SELECT count(*) AS users FROM users"),
        ("write.sql", "-- @writes\nUPDATE users SET name = name WHERE user_id = :id"),
        ("all.sql", "-- @roles clerk, analyst\nSELECT 1 AS one"),
    ]));
    let mut clerk = Role::everywhere("clerk", [Action::Select, Action::Update]);
    clerk.grants[0].columns.exclude = vec!["email".into()];
    settings.roles.push(clerk);
    let engine = Engine::connect(database.config.clone(), settings.clone()).await.unwrap();
    for (role, expected) in
        [("analyst", &["all", "read"][..]), ("operator", &["read", "write"]), ("clerk", &["all"])]
    {
        assert_eq!(names(&engine, role), expected, "{role}");
    }
    settings.roles.retain(|role| role.name == "clerk");
    settings.default_role = "clerk".into();
    let engine = Engine::connect(database.config.clone(), settings).await.unwrap();
    let faults = faults(&engine);
    let nobody = "read.sql:1:1: no role may use it: name roles with @roles";
    assert!(faults.contains(&nobody.into()), "{faults:?}");
}

#[tokio::test]
async fn a_canned_querys_timeout_does_not_exceed_the_roles() {
    let database = Database::empty().await;
    let text =
        "-- @timeout 5s\n-- @roles analyst\nSELECT current_setting('statement_timeout') AS most";
    for (own, most) in [(None, "5s"), (Some(2), "2s"), (Some(60), "5s")] {
        let mut settings = settings(directory([("time.sql", text)]));
        for role in &mut settings.roles {
            role.limits.statement_timeout = own.map(std::time::Duration::from_secs);
        }
        let engine = database.engine_with(settings).await;
        let reply = call(&engine, "analyst", "time", json!({})).await.unwrap();
        assert_eq!(reply["rows"], json!([{"most": most}]), "{own:?}");
    }
}

#[tokio::test]
async fn built_in_roles_may_be_named_beside_configured_ones() {
    let files = [
        ("both.sql", "-- @roles analyst, clerk\nSELECT 1 AS one"),
        ("gone.sql", "-- @roles analyst, operator\nSELECT 1 AS one"),
        ("none.sql", "-- @roles one, two\nSELECT 1 AS one"),
    ];
    let mut settings = settings(directory(files));
    settings.roles = vec![Role::everywhere("clerk", [Action::Select])];
    settings.default_role = "clerk".into();
    let engine = Database::empty().await.engine_with(settings).await;
    let expected = [
        "gone.sql:1:4: no role has it",
        "none.sql:1:4: there is no role \"one\" or \"two\"; there are clerk",
    ];
    assert_eq!(faults(&engine), expected);
    assert_eq!(names(&engine, "clerk"), ["both"]);
}
