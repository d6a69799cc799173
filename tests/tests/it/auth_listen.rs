//! Listening beyond loopback requires authentication, and a login without excessive rights.

use mcp_pg_tests::Database;
use serde_json::json;

use crate::auth_api_key::{key, tools};
use crate::program::{Era, Served, file, run};

const TABLE: &str = "CREATE TABLE note (id int PRIMARY KEY, text text);
    INSERT INTO note VALUES (1, 'one');
    CREATE TABLE secret (id int PRIMARY KEY);
    ALTER TABLE secret ENABLE ROW LEVEL SECURITY;";

/// Tries to listen beyond loopback as this login.
async fn refused(database: &Database, login: &str, more: &str) -> String {
    let (_, hash) = key().await;
    let config = file(&format!(
        "{more}\n[[auth.api_keys]]\nname = \"a\"\nhash = \"{hash}\"\nrole = \"analyst\""
    ));
    let url = database.url.replace("postgres://postgres@", &format!("postgres://{login}@"));
    let listen = ["http", "--listen", "0.0.0.0:0", "--database-url", &url];
    let ended = run(&[&listen[..], &["--config", config.to_str().unwrap()]].concat()).await;
    assert_eq!(ended.status, Some(2), "{login}: {ended:?}");
    assert!(ended.err.contains("refusing to listen beyond loopback"), "{login}: {}", ended.err);
    let check = run(&["check", "--database-url", &url]).await;
    assert_eq!(check.status, Some(1), "{login}: {check:?}");
    ended.err
}

#[tokio::test]
async fn http_beyond_loopback_refuses_an_unsafe_login() {
    let database = Database::of(TABLE).await;
    // Nor is any, where nobody is asked who they are.
    for address in ["0.0.0.0:0", "[::]:0"] {
        let open = run(&["http", "--listen", address, "--database-url", &database.url]).await;
        assert_eq!(open.status, Some(2), "{open:?}");
        assert!(open.err.contains("refusing to listen on"), "{}", open.err);
    }
    database
        .sql(
            "CREATE ROLE listen_bypass LOGIN BYPASSRLS;
             CREATE ROLE listen_owner LOGIN;
             CREATE ROLE listen_powerful NOLOGIN;
             CREATE ROLE listen_member LOGIN;
             GRANT listen_powerful TO listen_member;
             GRANT SELECT ON note TO listen_bypass, listen_member;
             ALTER TABLE secret OWNER TO listen_owner;",
        )
        .await;
    for (login, reason) in [
        ("postgres", "superuser"),
        ("listen_bypass", "BYPASSRLS"),
        ("listen_owner", "escapes the row-level security of public.secret"),
        ("listen_member", "may SET ROLE to listen_powerful"),
    ] {
        let told = refused(&database, login, "").await;
        assert!(told.contains(reason), "{login}: {told}");
    }
}

#[tokio::test]
async fn http_beyond_loopback_takes_a_safe_login_or_allow_unsafe_login() {
    let database = Database::of(TABLE).await;
    database.sql("CREATE ROLE listen_bound LOGIN; GRANT SELECT ON note TO listen_bound;").await;
    for (login, more) in
        [("listen_bound", ""), ("postgres", "[database]\nallow_unsafe_login = true\n")]
    {
        let (key, hash) = key().await;
        let config = file(&format!(
            "{more}[[auth.api_keys]]\nname = \"a\"\nhash = \"{hash}\"\nrole = \"analyst\""
        ));
        let url = database.url.replace("postgres://postgres@", &format!("postgres://{login}@"));
        let mut server = Served::listen(
            "0.0.0.0:0",
            &["--database-url", &url, "--config", config.to_str().unwrap()],
        )
        .await;
        server.address = server.address.replace("0.0.0.0", "127.0.0.1");
        assert!(tools(&server, &key).await.contains(&"select".to_owned()), "{login}");
    }
}

#[tokio::test]
async fn a_configuration_that_makes_the_login_a_danger_is_not_taken() {
    let database = Database::of(TABLE).await;
    database
        .sql(
            "CREATE ROLE listen_later LOGIN; GRANT SELECT ON note TO listen_later;
              CREATE SCHEMA mine AUTHORIZATION listen_later;
              CREATE TABLE mine.diary (id int PRIMARY KEY);
              ALTER TABLE mine.diary OWNER TO listen_later;
              ALTER TABLE mine.diary ENABLE ROW LEVEL SECURITY;",
        )
        .await;
    let (bearer, hash) = key().await;
    let text = |schemas: &str, actions: &str| {
        format!(
            "[database]\nschemas = [{schemas}]\n[[auth.api_keys]]\nname = \"a\"\nhash = \"{hash}\"\nrole = \"clerk\"\n\
             [[roles.clerk.grants]]\ntables = [\"*\"]\nactions = [{actions}]\n"
        )
    };
    let both = "\"select\", \"delete\"";
    let config = file(&text("\"public\"", "\"select\""));
    let url = database.url.replace("postgres://postgres@", "postgres://listen_later@");
    let arguments = ["--database-url", &url, "--config", config.to_str().unwrap()];
    let mut server = Served::listen("0.0.0.0:0", &arguments).await;
    server.address = server.address.replace("0.0.0.0", "127.0.0.1");
    std::fs::write(&config, text("\"public\", \"mine\"", both)).unwrap();
    server.logged("not for a server that listens beyond loopback").await;
    let bearer = format!("Bearer {bearer}");
    let header = [("Authorization", bearer.as_str())];
    let list = json!({"name": "list_tables", "arguments": {"detail": "names"}});
    let (status, answer) = server.request(Era::Discover, "tools/call", list, &header).await;
    assert_eq!(status, 200, "{answer}");
    assert!(!answer.to_string().contains("diary"), "{answer}");
}
