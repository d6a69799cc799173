//! What sessions begin with, by settings of the database or the login.

use std::time::Duration;

use mcp_pg_core::{Engine, Settings};
use mcp_pg_server::embedded::Cluster;
use mcp_pg_tests::{Database, call};
use serde_json::json;

use super::{ITEMS, run};

/// In databases with these settings, serializable reads that are read-only wait until nobody writes.
#[tokio::test]
async fn reads_do_not_wait_for_writers() {
    let database = Database::of(ITEMS).await;
    let name = database.config.get_dbname().unwrap();
    for setting in ["isolation = serializable", "deferrable = on"] {
        database.sql(&format!("ALTER DATABASE {name} SET default_transaction_{setting}")).await;
    }
    let writer = database.client().await;
    for step in ["BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE", "INSERT INTO items VALUES (3, 3)"]
    {
        writer.execute(step, &[]).await.unwrap();
    }
    let mut settings = Settings::default();
    settings.timeouts.statement = Duration::from_secs(2);
    let engine = database.engine_with(settings).await;
    let reply = call(&engine, "operator", "select", json!({"table": "items"})).await.unwrap();
    assert_eq!(reply["row_count"], 2);
}

/// Sessions can begin as another role than the login, which anything that runs in them can become again.
#[tokio::test]
async fn a_login_that_becomes_another_role_is_still_itself() {
    let cluster = Cluster::start().unwrap();
    for sql in [
        "CREATE ROLE owner_of_all",
        "CREATE ROLE mighty SUPERUSER LOGIN PASSWORD 'x'",
        "CREATE ROLE modest NOINHERIT LOGIN PASSWORD 'x'",
        "CREATE ROLE other BYPASSRLS",
        "GRANT owner_of_all, other TO modest",
        "ALTER ROLE mighty SET role = 'owner_of_all'",
        "ALTER ROLE modest SET role = 'owner_of_all'",
    ] {
        run(&cluster, sql).await.unwrap();
    }
    for (login, superuser, needless) in [("mighty", true, vec![]), ("modest", false, vec!["other"])]
    {
        let mut config = cluster.config("postgres");
        config.user(login).password("x");
        let engine = Engine::connect(config, Settings::default()).await.unwrap();
        let posture = engine.posture().await.unwrap();
        assert_eq!((posture.login.as_str(), posture.superuser), (login, superuser));
        assert_eq!(
            (posture.needless_roles, posture.unusable_schemas),
            (needless.iter().map(|role| (*role).to_owned()).collect(), vec![])
        );
    }
}
