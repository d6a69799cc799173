//! `setup-sql`, which prints the SQL of a login with no more rights than its callers need.

mod others;

use mcp_pg_tests::Database;
use serde_json::json;

use crate::program::{Ended, file, program, run};

const CONFIGURATIONS: [(&str, &str); 4] = [
    ("plain", ""),
    (
        "roles",
        r#"default_role = "reader"
        [database]
        schemas = ["public", "sales"]
        [roles.reader]
        database_role = "setup_reader"
        session = { "app.tenant" = "claim:tenant" }
        [[roles.reader.grants]]
        tables = ["*"]
        actions = ["select"]
        [roles.writer]
        database_role = "setup writer's"
        [[roles.writer.grants]]
        tables = ["sales.*"]
        actions = ["select", "insert", "update"]
        [roles.own]
        [[roles.own.grants]]
        tables = ["public.t_*"]
        actions = ["select"]"#,
    ),
    ("delete", "[archive]\nallow_hard_delete = true"),
    ("audit", "[audit]\ntable = \"mcp_audit.log\""),
];

#[tokio::test]
async fn on_an_empty_database_it_makes_a_login_that_check_approves() {
    for (name, text) in CONFIGURATIONS {
        let config = file(text);
        let config = ["--config", config.to_str().unwrap()];
        let printed = Ended::of(program(&["setup-sql"]).args(config)).await;
        assert_eq!(printed.status, Some(0), "{name}: {printed:?}");
        let database = Database::empty().await;
        // Roles belong to the whole cluster: a name of this test's own.
        let login = format!("mcp_pg_setup_{name}");
        let sql = printed.out.replace("mcp_pg", &login);
        database.sql(&sql).await;
        let url = database.url.replace("postgres://postgres@", &format!("postgres://{login}@"));
        let checked = Ended::of(program(&["check", "--database-url", &url]).args(config)).await;
        assert_eq!(checked.status, Some(0), "{name}: {checked:?}\n{sql}");
    }
}

#[tokio::test]
async fn tables_that_come_later_are_for_whom_the_configuration_names() {
    let (_, text) = CONFIGURATIONS[1];
    let config = file(&text.replace("setup", "later"));
    let config = ["--config", config.to_str().unwrap()];
    let printed = Ended::of(program(&["setup-sql"]).args(config)).await;
    let database = Database::empty().await;
    database.sql(&printed.out.replace("mcp_pg", "mcp_pg_later")).await;
    database
        .sql("CREATE TABLE public.t_one (id int PRIMARY KEY); CREATE TABLE sales.orders (id serial PRIMARY KEY)")
        .await;
    let url = database.url.replace("postgres://postgres@", "postgres://mcp_pg_later@");
    let call = async |role: &str, tool: &str, arguments: serde_json::Value| {
        let arguments = arguments.to_string();
        let call = ["call", tool, &arguments, "--role", role, "--database-url", &url];
        Ended::of(program(&call).args(config)).await
    };
    for (role, table, status) in [
        ("reader", "public.t_one", 0),
        ("reader", "sales.orders", 0),
        ("writer", "sales.orders", 0),
        ("writer", "public.t_one", 1),
        ("own", "sales.orders", 1),
    ] {
        let ended = call(role, "select", json!({"table": table})).await;
        assert_eq!(ended.status, Some(status), "{role} {table}: {ended:?}");
    }
    let new = json!({"table": "sales.orders", "data": {"id": {"$default": true}}});
    assert_eq!(call("writer", "insert", new.clone()).await.status, Some(0));
    assert_eq!(call("reader", "insert", new).await.status, Some(1));
}

#[tokio::test]
async fn sequences_of_other_schemas_that_defaults_name_can_be_used() {
    let database = Database::of(
        "CREATE SCHEMA other; CREATE SEQUENCE other.numbers; CREATE SEQUENCE other.unused;
         CREATE TABLE ticket (id integer PRIMARY KEY DEFAULT nextval('other.numbers'))",
    )
    .await;
    let printed = run(&["setup-sql"]).await.out.replace("mcp_pg", "mcp_pg_numbers");
    database.sql(&printed).await;
    for (sequence, expected) in [("other.numbers", "true"), ("other.unused", "false")] {
        let may =
            format!("SELECT has_sequence_privilege('mcp_pg_numbers', '{sequence}', 'USAGE')::text");
        assert_eq!(database.value(&may).await.as_deref(), Some(expected), "{sequence}");
    }
}

#[tokio::test]
async fn the_sql_can_be_run_again() {
    let database = Database::empty().await;
    let name = database.value("SELECT current_database()::text").await.unwrap();
    let read_only = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    database.sql(&read_only).await;
    let printed = run(&["setup-sql"]).await.out.replace("mcp_pg", "mcp_pg_again");
    database.sql(&printed).await;
    database.sql(&printed).await;
}

#[tokio::test]
async fn no_role_may_change_the_audit_table_also_in_a_schema_of_theirs() {
    let config = file(
        r#"default_role = "writer"
        [audit]
        table = "public.audit_log"
        [roles.writer]
        database_role = "setup_auditee"
        [[roles.writer.grants]]
        tables = ["*"]
        actions = ["select", "insert", "update"]"#,
    );
    let config = ["--config", config.to_str().unwrap()];
    let printed = Ended::of(program(&["setup-sql"]).args(config)).await;
    let database = Database::empty().await;
    let sql = printed.out.replace("mcp_pg", "mcp_pg_audited");
    // Also when it is run again, with the table there.
    database.sql(&sql).await;
    database.sql(&sql).await;
    for right in ["SELECT", "INSERT", "UPDATE", "DELETE"] {
        let may =
            format!("SELECT has_table_privilege('setup_auditee', 'audit_log', '{right}')::text");
        assert_eq!(database.value(&may).await.as_deref(), Some("false"), "{right}");
    }
    let may = "SELECT has_table_privilege('mcp_pg_audited', 'audit_log', 'INSERT')::text";
    assert_eq!(database.value(may).await.as_deref(), Some("true"));
}

#[tokio::test]
async fn functions_that_are_tools_may_be_called() {
    let config = file("[queries]\nfunctions = [\"api\"]");
    let config = ["--config", config.to_str().unwrap()];
    let printed = Ended::of(program(&["setup-sql"]).args(config)).await;
    let database = Database::empty().await;
    database.sql(&printed.out.replace("mcp_pg", "mcp_pg_calls")).await;
    database
        .sql(
            "CREATE FUNCTION api.greet() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'hello' $$;
              COMMENT ON FUNCTION api.greet IS E'@tool\\n@roles analyst'",
        )
        .await;
    let url = database.url.replace("postgres://postgres@", "postgres://mcp_pg_calls@");
    let called = Ended::of(program(&["call", "greet", "--database-url", &url]).args(config)).await;
    assert_eq!(called.status, Some(0), "{called:?}");
    assert_eq!(called.json()["rows"], json!([{"greet": "hello"}]));
}

#[tokio::test]
async fn functions_that_the_public_may_not_call_are_granted_to_the_roles_that_have_them() {
    let config = file(
        r#"default_role = "clerk"
        [queries]
        functions = ["api"]
        [roles.clerk]
        database_role = "setup_clerk"
        [[roles.clerk.grants]]
        tables = ["*"]
        actions = ["select"]
        [roles.boss]
        database_role = "setup_boss"
        [[roles.boss.grants]]
        tables = ["*"]
        actions = ["select", "insert", "update"]"#,
    );
    let config = ["--config", config.to_str().unwrap()];
    let database = Database::of(
        "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; CREATE SCHEMA api;
         CREATE FUNCTION api.named(n integer) RETURNS integer LANGUAGE sql STABLE AS 'SELECT n';
         COMMENT ON FUNCTION api.named IS E'Says n.\\n@tool\\n@roles boss, clerk';
         CREATE FUNCTION api.reads() RETURNS integer LANGUAGE sql STABLE AS 'SELECT 1';
         COMMENT ON FUNCTION api.reads IS '@tool';
         CREATE PROCEDURE api.writes(n integer, INOUT done integer DEFAULT NULL) LANGUAGE sql AS 'SELECT n';
         COMMENT ON PROCEDURE api.writes IS '@tool';
         CREATE FUNCTION api.other() RETURNS integer LANGUAGE sql STABLE AS 'SELECT 1';
         COMMENT ON FUNCTION api.other IS 'No tool.';",
    )
    .await;
    let printed = Ended::of(program(&["setup-sql"]).args(config)).await.out;
    let sql = printed.replace("mcp_pg", "mcp_pg_routines");
    database.sql(&sql).await;
    database.sql(&sql).await;
    for (role, function, expected) in [
        ("clerk", "named(integer)", "true"),
        ("clerk", "reads()", "true"),
        ("clerk", "writes(integer, integer)", "false"),
        ("clerk", "other()", "false"),
        ("boss", "named(integer)", "true"),
        ("boss", "reads()", "true"),
        ("boss", "writes(integer, integer)", "true"),
    ] {
        let may = format!(
            "SELECT has_function_privilege('setup_{role}', 'api.{function}', 'EXECUTE')::text"
        );
        assert_eq!(database.value(&may).await.as_deref(), Some(expected), "{role} {function}");
    }
    let url = database.url.replace("postgres://postgres@", "postgres://mcp_pg_routines@");
    let checked = Ended::of(program(&["check", "--database-url", &url]).args(config)).await;
    assert_eq!(checked.status, Some(0), "{checked:?}");
}

#[tokio::test]
async fn the_operators_of_extensions_in_a_schema_of_their_own_are_found() {
    let database = Database::of(
        "CREATE SCHEMA \"the extensions\"; CREATE EXTENSION citext SCHEMA \"the extensions\";
         CREATE TABLE person (id integer PRIMARY KEY, email \"the extensions\".citext, tags \"the extensions\".citext[]);
         INSERT INTO person VALUES (1, 'Bob@Example.com', '{A}');",
    )
    .await;
    // Until it is set up, the login is told of it.
    database
        .sql("CREATE ROLE mcp_pg_unready LOGIN; GRANT SELECT ON person TO mcp_pg_unready")
        .await;
    let unready = database.url.replace("postgres://postgres@", "postgres://mcp_pg_unready@");
    let checked = Ended::of(&mut program(&["check", "--database-url", &unready])).await;
    assert_eq!(checked.status, Some(1), "{checked:?}");
    assert!(
        checked.out.contains("the operators of \"the extensions\".citext (public.person.email)"),
        "{checked:?}"
    );
    let printed = run(&["setup-sql"]).await.out.replace("mcp_pg", "mcp_pg_typed");
    database.sql(&printed).await;
    database.sql(&printed).await;
    let url = database.url.replace("postgres://postgres@", "postgres://mcp_pg_typed@");
    let checked = Ended::of(&mut program(&["check", "--database-url", &url])).await;
    assert_eq!(checked.status, Some(0), "{checked:?}");
    let select = json!({"table": "person", "where": {"email": "bob@example.com"}}).to_string();
    let called =
        Ended::of(&mut program(&["call", "select", &select, "--database-url", &url])).await;
    assert_eq!(called.json()["row_count"], 1, "{called:?}");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "as psql runs it")]
async fn tables_that_notify_are_looked_up_in_the_schemas() {
    let database = Database::of(
        r#"CREATE SCHEMA sales; CREATE TABLE orders (); CREATE TABLE sales.orders (); CREATE TABLE sales.lines ();
           CREATE TABLE "table with.dot" (); CREATE TABLE "sales.lines" (); CREATE TABLE "a.b" ()"#,
    )
    .await;
    let config = file("[database]\nschemas = [\"public\", \"sales\"]\n");
    let printed = async |tables: &[&str]| {
        let tables = tables.iter().flat_map(|table| ["--notify", table]);
        let arguments = ["setup-sql", "--config", config.to_str().unwrap()].into_iter();
        run(&Vec::from_iter(arguments.chain(tables))).await.out.replace("mcp_pg", "mcp_pg_notify")
    };
    let triggers = "SELECT string_agg(format('%s %s', n.nspname, c.relname), ', ' ORDER BY n.nspname, c.relname)
         FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
         WHERE tgname = 'mcp_pg_notify_rows'";
    let sql = printed(&["orders", "lines", "table with.dot", "sales.lines", "public.a.b"]).await;
    database.sql(&sql).await;
    database.sql(&sql).await;
    assert_eq!(
        database.value(triggers).await.unwrap(),
        "public a.b, public orders, public table with.dot, sales lines"
    );
    let client = database.client().await;
    let refused = client.batch_execute(&printed(&["orders", "ordres"]).await).await.unwrap_err();
    let refused = refused.as_db_error().unwrap().message().to_owned();
    assert!(refused.starts_with("--notify ordres: there is no such table"), "{refused}");
    // A view has no trigger for TRUNCATE, and what changes are the rows of its tables.
    database.sql("CREATE VIEW shown AS SELECT 1 AS one").await;
    let client = database.client().await;
    let refused = client.batch_execute(&printed(&["shown"]).await).await.unwrap_err();
    let refused = refused.as_db_error().unwrap().message().to_owned();
    assert!(refused.starts_with("--notify shown: there is no such table"), "{refused}");
    database
        .sql(
            "CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
             CREATE FOREIGN TABLE far (id integer) SERVER nowhere",
        )
        .await;
    database.sql(&printed(&["far"]).await).await;
    assert!(database.value(triggers).await.unwrap().contains("public far"));
}

/// Names of the operator's own may look like the end of a text between dollar quotes.
#[tokio::test]
async fn names_with_dollar_quotes_end_no_statement() {
    let config = file(
        r#"default_role = "odd"
        [database]
        schemas = ["public", "a$mcp_pg$b"]
        [roles.odd]
        database_role = "c$mcp_pg$d"
        [[roles.odd.grants]]
        tables = ["public.x*", "public.x$rights$y"]
        actions = ["select", "insert"]"#,
    );
    let config = ["--config", config.to_str().unwrap()];
    let database = Database::of("CREATE TABLE x_one (id serial PRIMARY KEY)").await;
    let printed = Ended::of(program(&["setup-sql"]).args(config)).await.out;
    database.sql(&printed.replace("mcp_pg", "mcp_pg_dollars")).await;
    let may = "SELECT has_table_privilege('c$mcp_pg_dollars$d', 'x_one', 'INSERT')::text";
    assert_eq!(database.value(may).await.as_deref(), Some("true"));
}

const DOCTOR: &str = r#"default_role = "doctor"
    [roles.doctor]
    database_role = "setup_doctor"
    [[roles.doctor.grants]]
    tables = ["*"]
    actions = ["select", "update"]"#;

#[tokio::test]
async fn a_role_that_somebody_gave_rights_to_keeps_them() {
    let database = Database::of(
        "CREATE ROLE setup_base NOLOGIN; CREATE ROLE setup_doctor NOLOGIN IN ROLE setup_base;
         CREATE ROLE setup_reads_all NOLOGIN; GRANT pg_read_all_data TO setup_reads_all;
         CREATE ROLE setup_default NOLOGIN; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO setup_default;
         CREATE TABLE patients (id integer PRIMARY KEY, name text, ssn text);
         CREATE TABLE payments (id integer PRIMARY KEY);
         GRANT SELECT (id, name) ON patients TO setup_base;
         REVOKE SELECT ON patients, payments FROM setup_default",
    )
    .await;
    for role in ["setup_doctor", "setup_default", "setup_reads_all"] {
        let config = file(&DOCTOR.replace("setup_doctor", role));
        let config = ["--config", config.to_str().unwrap()];
        let sql = Ended::of(program(&["setup-sql"]).args(config)).await.out;
        database.sql(&sql.replace("mcp_pg", "mcp_pg_doctor")).await;
    }
    for (may, expected) in [
        ("has_column_privilege('setup_doctor', 'patients', 'name', 'SELECT')", "true"),
        ("has_column_privilege('setup_doctor', 'patients', 'ssn', 'SELECT')", "false"),
        ("has_table_privilege('setup_doctor', 'payments', 'SELECT')", "false"),
        ("has_table_privilege('setup_default', 'payments', 'SELECT')", "false"),
        ("has_table_privilege('setup_reads_all', 'payments', 'UPDATE')", "false"),
        ("pg_has_role('mcp_pg_doctor', 'setup_doctor', 'MEMBER')", "true"),
    ] {
        let found = database.value(&format!("SELECT ({may})::text")).await;
        assert_eq!(found.as_deref(), Some(expected), "{may}");
    }
}

#[tokio::test]
async fn a_login_may_serve_several_databases() {
    let config = file(&DOCTOR.replace("setup_doctor", "setup_nurse"));
    let config = ["--config", config.to_str().unwrap()];
    let sql = Ended::of(program(&["setup-sql"]).args(config)).await.out;
    let sql = sql.replace("mcp_pg", "mcp_pg_shared");
    let table = "CREATE TABLE patients (id integer PRIMARY KEY)";
    let (first, second, other) =
        (Database::of(table).await, Database::of(table).await, Database::of(table).await);
    for database in [&first, &second] {
        database.sql(&sql).await;
        // Once more, as after a change of the configuration.
        database.sql(&sql).await;
        let may = "SELECT has_table_privilege('setup_nurse', 'patients', 'UPDATE')::text";
        assert_eq!(database.value(may).await.as_deref(), Some("true"));
    }
    other.sql(&run(&["setup-sql"]).await.out.replace("mcp_pg", "mcp_pg_shared")).await;
    let url = |database: &Database| {
        database.url.replace("postgres://postgres@", "postgres://mcp_pg_shared@")
    };
    let checked = run(&["check", "--database-url", &url(&other)]).await;
    assert_eq!(checked.status, Some(0), "{checked:?}");
    // With rights here, the role is one more that the login may become.
    other.sql("GRANT SELECT ON patients TO setup_nurse").await;
    let checked = run(&["check", "--database-url", &url(&other)]).await;
    assert!(checked.out.contains("may SET ROLE to setup_nurse"), "{checked:?}");
}

#[tokio::test]
async fn check_notes_a_login_that_may_change_the_audit_table() {
    let config = file("[audit]\ntable = \"mcp_audit.log\"");
    let config = ["--config", config.to_str().unwrap()];
    let sql = Ended::of(program(&["setup-sql"]).args(config)).await.out;
    let database = Database::empty().await;
    database.sql(&sql.replace("mcp_pg", "mcp_pg_changes")).await;
    let url = database.url.replace("postgres://postgres@", "postgres://mcp_pg_changes@");
    let note = async || {
        let checked = Ended::of(program(&["check", "--database-url", &url]).args(config)).await;
        checked.out.contains("may change or remove records of mcp_audit.log")
    };
    assert!(!note().await);
    for (given, taken) in [
        ("GRANT DELETE ON mcp_audit.log TO LOGIN", "REVOKE DELETE ON mcp_audit.log FROM LOGIN"),
        ("GRANT TRIGGER ON mcp_audit.log TO LOGIN", "REVOKE TRIGGER ON mcp_audit.log FROM LOGIN"),
        (
            "ALTER TABLE mcp_audit.log OWNER TO LOGIN",
            "ALTER TABLE mcp_audit.log OWNER TO postgres; GRANT SELECT, INSERT ON mcp_audit.log TO LOGIN",
        ),
        ("ALTER SCHEMA mcp_audit OWNER TO LOGIN", ""),
    ] {
        database.sql(&given.replace("LOGIN", "mcp_pg_changes")).await;
        assert!(note().await, "{given}");
        database.sql(&taken.replace("LOGIN", "mcp_pg_changes")).await;
    }
    database.sql("REVOKE INSERT ON mcp_audit.log FROM mcp_pg_changes").await;
    let checked = Ended::of(program(&["check", "--database-url", &url]).args(config)).await;
    let finding = "finding: audit.table: mcp_pg_changes may not insert into mcp_audit.log";
    assert!(checked.status == Some(1) && checked.out.contains(finding), "{checked:?}");
}
