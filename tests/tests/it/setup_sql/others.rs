//! What others have made in the database, or make meanwhile, is not run and not taken over.

use mcp_pg_tests::Database;

use crate::program::{Ended, file, program, run};

/// Owners of a database choose its `search_path`, whose names PostgreSQL does not look at.
#[tokio::test]
async fn the_text_of_a_search_path_is_not_run() {
    let database = Database::of(
        "DO $$ BEGIN CREATE ROLE path_evil; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         CREATE EXTENSION citext; CREATE TABLE person (email citext);",
    )
    .await;
    let set = "SELECT set_config('search_path', 'public;alter/**/role/**/path_evil/**/superuser;--', false);
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path FROM CURRENT', current_database()); END $$;";
    database.sql(set).await;
    let printed = run(&["setup-sql"]).await.out.replace("mcp_pg", "mcp_pg_path");
    database.sql(&printed).await;
    let power = "SELECT rolsuper::text FROM pg_roles WHERE rolname = 'path_evil'";
    assert_eq!(database.value(power).await.as_deref(), Some("false"));
    let set = "SELECT setconfig::text FROM pg_db_role_setting
         WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = 'mcp_pg_path')";
    assert!(database.value(set).await.unwrap().contains("superuser;--"), "as it was");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "as psql runs it")]
async fn objects_that_others_made_before_are_refused() {
    let config = file("[audit]\ntable = \"mcp_audit.log\"");
    let config = ["--config", config.to_str().unwrap()];
    let printed = Ended::of(program(&["setup-sql"]).args(config)).await.out;
    for (number, (made, told)) in [
        ("CREATE SCHEMA NAME; CREATE FUNCTION NAME.schema_changed() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$", "function "),
        ("CREATE SCHEMA mcp_audit", "schema mcp_audit belongs to "),
        ("CREATE SCHEMA mcp_audit; CREATE TABLE mcp_audit.log (position bigint, record json)", "table mcp_audit.log belongs to "),
    ]
    .into_iter()
    .enumerate()
    {
        let database = Database::empty().await;
        let name = format!("mcp_pg_early_{number}");
        let sql = printed.replace("mcp_pg", &name);
        let other = format!("other_{}", database.config.get_dbname().unwrap());
        let before = format!(
            "CREATE ROLE {other}; GRANT CREATE ON DATABASE {} TO {other}; SET ROLE {other}; {}; RESET ROLE",
            database.config.get_dbname().unwrap(),
            made.replace("NAME", &name)
        );
        database.sql(&before).await;
        let client = database.client().await;
        let refused = client.batch_execute(&sql).await.unwrap_err();
        let refused = refused.as_db_error().unwrap().message().to_owned();
        assert!(refused.starts_with("refused: ") && refused.contains(told), "{refused}");
        let made = format!("SELECT count(*)::text FROM pg_roles WHERE rolname = '{name}'");
        client.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(database.value(&made).await.as_deref(), Some("0"), "not all or nothing");
    }
}

#[tokio::test]
async fn whoever_runs_it_runs_no_function_of_others() {
    let config = file(
        "[roles.own]\n[[roles.own.grants]]\ntables = [\"public.t_*\"]\nactions = [\"select\"]\n",
    );
    let config = ["--config", config.to_str().unwrap()];
    let printed = Ended::of(program(&["setup-sql"]).args(config)).await;
    let database = Database::of(
        "CREATE TABLE t_one (id integer);
         CREATE FUNCTION format(text, regclass, text) RETURNS text LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'run as %', current_user; END $$;",
    )
    .await;
    database.sql(&printed.out.replace("mcp_pg", "mcp_pg_others")).await;
    let granted = "SELECT has_table_privilege('mcp_pg_others', 'public.t_one', 'SELECT')::text";
    assert_eq!(database.value(granted).await.unwrap(), "true");
}

/// Before the second look at owners, whoever holds a lock that it waits for.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "as psql runs it")]
async fn objects_that_others_make_while_it_waits_are_refused() {
    let printed = run(&["setup-sql"]).await.out.replace("mcp_pg", "mcp_pg_held");
    let database = Database::of("CREATE TABLE held (id integer)").await;
    let name = database.config.get_dbname().unwrap().to_owned();
    let other = format!("other_{name}");
    database
        .sql(&format!(
            "CREATE ROLE {other}; GRANT CREATE ON DATABASE {name} TO {other}; ALTER TABLE held OWNER TO {other}"
        ))
        .await;
    let holder = database.client().await;
    holder
        .batch_execute(&format!("SET ROLE {other}; BEGIN; GRANT SELECT ON held TO PUBLIC"))
        .await
        .unwrap();
    let runner = database.client().await;
    let sql = printed.clone();
    let running = tokio::spawn(async move { runner.batch_execute(&sql).await });
    database.until_blocked(1).await;
    let made = format!(
        "SET ROLE {other}; CREATE SCHEMA mcp_pg_held; CREATE FUNCTION mcp_pg_held.unused() RETURNS integer \
         LANGUAGE sql AS 'SELECT 1'; RESET ROLE"
    );
    database.sql(&made).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    let refused = running.await.unwrap().unwrap_err();
    let refused = refused.as_db_error().unwrap().message().to_owned();
    assert!(
        refused.starts_with("refused: ") && refused.contains("schema mcp_pg_held"),
        "{refused}"
    );

    // What is renamed for that moment is missed.
    database
        .sql(&format!("DROP SCHEMA mcp_pg_held CASCADE; GRANT SELECT ON held TO {other}"))
        .await;
    let last = printed.rfind("\n-- The same of what was made here").expect("the last check");
    let (made, check) = printed.split_at(last);
    let client = database.client().await;
    client
        .batch_execute(&format!("{made}\nALTER SCHEMA mcp_pg_held RENAME TO elsewhere;"))
        .await
        .unwrap();
    let refused = client.batch_execute(check).await.unwrap_err();
    let refused = refused.as_db_error().unwrap().message().to_owned();
    for name in ["function schema_changed is not there", "schema mcp_pg_held is not there"] {
        assert!(refused.contains(name), "{refused}");
    }
}

#[tokio::test]
async fn an_audit_table_after_a_renamed_one_takes_a_confirmation_once_too() {
    let config = file("[audit]\ntable = \"mcp_audit.log\"");
    let config = ["--config", config.to_str().unwrap()];
    let printed = Ended::of(program(&["setup-sql"]).args(config)).await.out;
    let database = Database::empty().await;
    let printed = printed.replace("mcp_pg", "mcp_pg_renamed");
    for name in ["first", "second"] {
        database.sql(&printed).await;
        database.sql(&format!("ALTER TABLE mcp_audit.log RENAME TO {name}")).await;
    }
    let unique = "SELECT count(*)::text FROM pg_index WHERE indisunique AND NOT indisprimary
                  AND indrelid IN ('mcp_audit.first'::regclass, 'mcp_audit.second'::regclass)";
    assert_eq!(database.value(unique).await.as_deref(), Some("2"));
}
