//! Which database is connected to, and what is told where none can be.

use mcp_pg_tests::Database;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{NOWHERE, misused};
use crate::program::{Ended, Served, file, program, run};

#[tokio::test]
async fn without_a_database_the_status_is_three_and_no_password_is_told() {
    let database = Database::shop().await;
    let missing = database.url.replace("/test_", "/no_such_");
    for url in [NOWHERE, &missing] {
        for arguments in [["check"].as_slice(), &["describe"], &["call", "list_tables"], &["stdio"]]
        {
            let ended = Ended::of(program(arguments).args(["--database-url", url])).await;
            assert_eq!(ended.status, Some(3), "{arguments:?}: {ended:?}");
            assert_eq!(ended.out, "");
            assert!(!ended.err.contains("--demo"), "{ended:?}");
            assert!(!ended.err.contains("very-secret"), "{ended:?}");
        }
    }
    // Whoever names none is told how.
    let ended = Ended::of(program(&["call", "list_tables"]).env("PGPORT", "1")).await;
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.err.contains("--demo"), "{ended:?}");
}

/// No second attempt helps.
#[tokio::test]
async fn a_login_without_the_right_to_connect_is_told_so() {
    let database = Database::of("CREATE TABLE item (id integer)").await;
    let name = database.value("SELECT current_database()::text").await.unwrap();
    database
        .sql(&format!(
            "CREATE ROLE without_connect LOGIN; REVOKE CONNECT ON DATABASE \"{name}\" FROM PUBLIC"
        ))
        .await;
    let url = database.url.replace("postgres@", "without_connect@");
    assert_ne!(url, database.url);
    let ended = run(&["call", "list_tables", "--database-url", &url]).await;
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.err.contains("right to connect"), "{ended:?}");
}

#[tokio::test]
async fn the_database_is_found_in_the_environment() {
    let database = Database::shop().await;
    let tables = json!([
        "inventory",
        "order_items",
        "orders",
        "payments",
        "products",
        "reviews",
        "user_preferences",
        "users"
    ]);
    let ask = ["call", "list_tables", r#"{"detail": "names"}"#];
    let by_url = Ended::of(program(&ask).env("DATABASE_URL", &database.url)).await;
    assert_eq!(by_url.json()["tables"], tables);
    let host = match &database.config.get_hosts()[0] {
        tokio_postgres::config::Host::Unix(path) => path.to_str().unwrap().to_owned(),
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
    };
    let by_parts = Ended::of(
        program(&ask)
            .env("PGHOST", host)
            .env("PGUSER", "postgres")
            .env("PGDATABASE", database.config.get_dbname().unwrap()),
    )
    .await;
    assert_eq!(by_parts.json()["tables"], tables);
    let config = file(&format!("[database]\nurl = {:?}", database.url));
    let by_file = Ended::of(
        program(&ask).args(["--config", config.to_str().unwrap()]).env("DATABASE_URL", NOWHERE),
    )
    .await;
    assert_eq!(by_file.json()["tables"], tables);
}

#[tokio::test]
async fn the_url_says_how_connections_are_kept_alive() {
    let database = Database::shop().await;
    let with = |options: &str| {
        let mark = if database.url.contains('?') { '&' } else { '?' };
        format!("{}{mark}{options}", database.url)
    };
    let options = "keepalives=1&keepalives_idle=5&keepalives_interval=5&keepalives_retries=2&tcp_user_timeout=9";
    for options in [options, "keepalives=0"] {
        let arguments = ["call", "list_tables", "--database-url", &with(options)];
        let answered = run(&arguments).await;
        assert_eq!(answered.status, Some(0), "{options}: {answered:?}");
    }
    for options in ["keepalives=soon", "keepalives_idle=-x", "keepalive_idle=5"] {
        let arguments = ["call", "list_tables", "--database-url", &with(options)];
        let refused = run(&arguments).await;
        assert_eq!(refused.status, Some(2), "{options}: {refused:?}");
    }
}

#[tokio::test]
async fn a_database_that_refuses_is_not_one_that_does_not_answer() {
    let database = Database::empty().await;
    let (server, _) = database.url.rsplit_once('/').unwrap();
    let ended = run(&["check", "--database-url", &format!("{server}/no_such_database")]).await;
    assert_eq!(ended.status, Some(3), "{ended:?}");
    for word in ["the database refuses the connection", "no_such_database", "an operator"] {
        assert!(ended.err.contains(word), "{word}: {ended:?}");
    }
    for word in ["does not answer", "creating a new object", "try again"] {
        assert!(!ended.err.contains(word), "{word}: {ended:?}");
    }
    database.sql("CREATE ROLE cli_crowded LOGIN CONNECTION LIMIT 0").await;
    let url = database.url.replace("postgres://postgres@", "postgres://cli_crowded@");
    let ended = run(&["check", "--database-url", &url]).await;
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.err.contains("the database accepts no more connections"), "{ended:?}");
}

#[tokio::test]
async fn a_schema_that_is_not_there_is_told_at_the_start() {
    let database = Database::shop().await;
    let arguments = ["--database-url", &database.url, "--schema", "public", "--schema", "pubilc"];
    let mut server = Served::start(&arguments).await;
    server.logged("the schema \"pubilc\" does not exist").await;
}

#[tokio::test]
async fn a_server_that_is_there_and_unfit_is_told() {
    // It has no encryption, and says so.
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = plain.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut asked, _)) = plain.accept().await {
            let mut request = [0; 8];
            if asked.read_exact(&mut request).await.is_ok() {
                asked.write_all(b"N").await.ok();
            }
        }
    });
    let url = format!(
        "postgres://someone:very-secret@127.0.0.1:{port}/d?sslmode=require&gssencmode=prefer"
    );
    let ended = run(&["check", "--database-url", &url]).await;
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(
        ended.err.contains("does not support TLS") && ended.err.contains("sslmode"),
        "{ended:?}"
    );
    for word in ["does not answer", "try again", "very-secret"] {
        assert!(!ended.err.contains(word), "{word}: {ended:?}");
    }
    misused(&["check", "--database-url", "nonsense"], &["begins with postgres://"]).await;
}

#[tokio::test]
async fn a_schema_without_tables_is_reported() {
    let database = Database::shop().await;
    for command in [&["describe"][..], &["diagram"], &["call", "list_tables"]] {
        let options = ["--database-url", &database.url, "--schema", "nope"];
        misused(&[command, &options].concat(), &["the schema \"nope\" does not exist"]).await;
    }
    let empty = Database::empty().await;
    let mut server = Served::start(&["--database-url", &empty.url]).await;
    server.logged("there are no tables").await;
    let listed = run(&["call", "list_tables", "--database-url", &empty.url]).await;
    let told = &listed.json()["error"];
    assert_eq!(told["code"], "forbidden");
    assert_eq!(told["message"], "there is no table in public that the caller's role may use");
}
