//! TLS: connections to PostgreSQL, and from HTTP clients.

use std::path::PathBuf;
use std::sync::Arc;

use mcp_pg_server::embedded::Cluster;
use mcp_pg_tests::{Database, until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::live::triggers;
use crate::mcp_http::call;
use crate::mcp_stdio::{SLOW, until_slow};
use crate::program::{Ended, Era, Served, file, program, run};

/// An authority that exists for one test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key for a name.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A cluster that encrypts, as `localhost`.
async fn encrypting(authority: &Authority) -> (Cluster, u16) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cluster = Cluster::start_on(free).unwrap();
    present(&cluster, authority.issue("localhost")).await;
    (cluster, free)
}

/// Has the cluster show a certificate.
async fn present(cluster: &Cluster, (certificate, key): (String, String)) {
    let (client, connection) =
        cluster.config("postgres").connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    // PostgreSQL writes the files itself: they must be its own.
    for (name, text) in [("server.crt", certificate), ("server.key", key)] {
        let write = format!(
            "COPY (SELECT line FROM unnest(string_to_array('{}', chr(10))) AS line) \
             TO PROGRAM 'umask 077; cat > {name}'",
            text.trim_end()
        );
        client.execute(&write, &[]).await.unwrap();
    }
    client
        .execute("CREATE TABLE IF NOT EXISTS something (id integer PRIMARY KEY)", &[])
        .await
        .unwrap();
    client.execute("ALTER SYSTEM SET ssl = on", &[]).await.unwrap();
    client.query("SELECT pg_reload_conf()", &[]).await.unwrap();
    for _ in 0..500 {
        let on: String = client.query_one("SHOW ssl", &[]).await.unwrap().get(0);
        if on == "on" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the cluster does not encrypt");
}

/// A certificate that the server made for itself, which says that it is an authority, as those of OpenSSL do.
#[tokio::test]
async fn a_certificate_of_its_own_is_known_where_it_is_given() {
    let own = |name: &str| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cluster = Cluster::start_on(free).unwrap();
    let (ours, other) = (own("localhost"), own("localhost"));
    present(&cluster, ours.clone()).await;
    let (ours, other) = (file(&ours.0), file(&other.0));
    for (host, mode, root, status) in [
        ("localhost", "verify-full", &ours, 0),
        ("127.0.0.1", "verify-full", &ours, 3),
        ("127.0.0.1", "verify-ca", &ours, 0),
        ("localhost", "verify-full", &other, 3),
        ("localhost", "verify-ca", &other, 3),
    ] {
        let url = format!(
            "postgres://postgres@{host}:{free}/postgres?sslmode={mode}&sslrootcert={}",
            root.display()
        );
        let ended = run(&["call", "list_tables", "--database-url", &url]).await;
        assert_eq!(ended.status, Some(status), "{host} {mode} {root:?}: {ended:?}");
        if status == 3 {
            assert!(!ended.err.contains("try again"), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn postgresql_is_known_as_far_as_sslmode_says() {
    let (ours, other) = (Authority::new(), Authority::new());
    let (cluster, port) = encrypting(&ours).await;
    let (ours, other) = (file(&ours.pem()), file(&other.pem()));
    let (ours, other) = (Some(ours.to_str().unwrap()), Some(other.to_str().unwrap()));
    for (host, mode, root, connects) in [
        ("127.0.0.1", "disable", None, true),
        ("127.0.0.1", "prefer", None, true),
        ("127.0.0.1", "require", None, true),
        ("127.0.0.1", "require", ours, true),
        ("127.0.0.1", "require", other, false),
        ("127.0.0.1", "verify-ca", ours, true),
        ("127.0.0.1", "verify-ca", other, false),
        ("127.0.0.1", "verify-ca", None, false),
        ("127.0.0.1", "verify-full", ours, false),
        ("localhost", "verify-full", ours, true),
        ("localhost", "verify-full", other, false),
        ("localhost", "verify-full", None, false),
        ("localhost", "verify-full", Some("system"), false),
    ] {
        let root = root.map(|path| format!("&sslrootcert={path}")).unwrap_or_default();
        let url = format!("postgres://postgres@{host}:{port}/postgres?sslmode={mode}{root}");
        let ended =
            Ended::of(program(&["call", "list_tables", "--database-url", &url]).env_remove("HOME"))
                .await;
        let status = match (mode, root.as_str()) {
            // A public authority vouches for any name that somebody owns.
            ("verify-ca", "") => 2,
            _ if connects => 0,
            _ => 3,
        };
        assert_eq!(ended.status, Some(status), "{host} {mode} {root}: {ended:?}");
    }
    let (client, connection) =
        cluster.config("postgres").connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.execute("ALTER SYSTEM SET ssl = off", &[]).await.unwrap();
    client.query("SELECT pg_reload_conf()", &[]).await.unwrap();
    let ssl = async || client.query_one("SHOW ssl", &[]).await.unwrap().get::<_, String>(0);
    until("ssl is off", async || ssl().await == "off").await;
    for (mode, status) in [("prefer", 0), ("require", 3)] {
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode={mode}");
        let ended = run(&["call", "list_tables", "--database-url", &url]).await;
        assert_eq!(ended.status, Some(status), "{mode}: {ended:?}");
    }
}

#[tokio::test]
async fn an_encrypted_connection_is_encrypted_and_its_statements_can_be_cancelled() {
    let authority = Authority::new();
    let (cluster, port) = encrypting(&authority).await;
    let database = Database { config: cluster.config("postgres"), url: cluster.url("postgres") };
    database.sql(SLOW).await;
    let root = file(&authority.pem());
    let url = format!(
        "postgres://postgres@localhost:{port}/postgres?sslmode=verify-full&sslrootcert={}",
        root.display()
    );
    let server = Served::start(&["--database-url", &url]).await;
    let request = call("select", json!({"table": "slow"}));
    let encrypted = async {
        until_slow(&database, true).await;
        let plain = "SELECT count(*)::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
            WHERE application_name = 'mcp-pg' AND NOT ssl";
        assert_eq!(database.value(plain).await.as_deref(), Some("0"));
    };
    tokio::select! {
        answer = server.request(Era::Initialize, "tools/call", request, &[]) => panic!("{answer:?}"),
        // What is not awaited any more hangs up.
        () = encrypted => {}
    }
    until_slow(&database, false).await;
}

#[tokio::test]
async fn changes_are_heard_over_an_encrypted_connection() {
    let authority = Authority::new();
    let (cluster, port) = encrypting(&authority).await;
    let database = Database { config: cluster.config("postgres"), url: cluster.url("postgres") };
    database.sql(&triggers(&[]).await).await;
    let root = file(&authority.pem());
    let config = file(&format!(
        "[database]\nschema_poll = \"1h\"\nurl = \"postgres://postgres@localhost:{port}/postgres\
         ?sslmode=verify-full&sslrootcert={}\"\n",
        root.display()
    ));
    let server = Served::start(&["--config", config.to_str().unwrap()]).await;
    let listening = "SELECT bool_and(ssl)::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
        WHERE application_name = 'mcp-pg listener' AND state = 'idle' AND query NOT LIKE 'LISTEN%'";
    let encrypted = loop {
        if let Some(encrypted) = database.value(listening).await {
            break encrypted;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!(encrypted, "true");
    database.sql("CREATE TABLE added (id integer)").await;
    let names = json!({"name": "list_tables", "arguments": {"detail": "names"}});
    for attempt in 0.. {
        let (_, answer) = server.request(Era::Discover, "tools/call", names.clone(), &[]).await;
        if answer["result"]["structuredContent"]["tables"] == json!(["added", "something"]) {
            break;
        }
        assert!(attempt < 500, "the change is not heard: {answer}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// What `/readyz` answers to a client that trusts `root` and expects `name`.
async fn readiness(address: &str, root: &str, name: &'static str) -> std::io::Result<String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name).unwrap();
    let mut connection = TlsConnector::from(Arc::new(client)).connect(name, connection).await?;
    connection.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
    let mut answer = String::new();
    // The end of the answer may come without the end of the encryption.
    let _ = connection.read_to_string(&mut answer).await;
    Ok(answer)
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_new_start() {
    let database = Database::shop().await;
    let (old, new) = (Authority::new(), Authority::new());
    let (certificate, key) = old.issue("localhost");
    let (certificate, key) = (file(&certificate), file(&key));
    let config = file(&format!("[server]\ntls_certificate = {certificate:?}\ntls_key = {key:?}\n"));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    readiness(&server.address, &old.pem(), "localhost").await.unwrap();
    let (renewed, renewed_key) = new.issue("localhost");
    // One without the other is a fault, and the old ones stay meanwhile.
    std::fs::write(&certificate, renewed).unwrap();
    readiness(&server.address, &old.pem(), "localhost").await.unwrap();
    std::fs::write(&key, renewed_key).unwrap();
    for attempt in 0.. {
        match readiness(&server.address, &new.pem(), "localhost").await {
            Ok(_) => break,
            Err(error) => assert!(attempt < 600, "{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    readiness(&server.address, &old.pem(), "localhost").await.unwrap_err();
}

#[tokio::test]
async fn http_is_encrypted_if_there_are_a_certificate_and_a_key() {
    let database = Database::shop().await;
    let authority = Authority::new();
    let (certificate, key) = authority.issue("localhost");
    let (certificate, key) = (file(&certificate), file(&key));
    let config = file(&format!(
        "[server]\ntls_certificate = {certificate:?}\ntls_key = {key:?}\npublic_url = \"https://localhost\""
    ));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    let address = server.address.clone();
    // One that says nothing must not keep the others waiting.
    let _silent = TcpStream::connect(&address).await.unwrap();
    let get = async |root: &str, name| readiness(&address, root, name).await;
    let answer = get(&authority.pem(), "localhost").await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("ready\n"), "{answer}");
    get(&authority.pem(), "example.com").await.unwrap_err();
    get(&Authority::new().pem(), "localhost").await.unwrap_err();
    let mut plain = TcpStream::connect(&address).await.unwrap();
    plain.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    let single = file(&format!("[server]\ntls_certificate = {certificate:?}"));
    let ended = run(&["http", "--config", single.to_str().unwrap()]).await;
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.err.contains("tls_key"), "{ended:?}");

    let nowhere = PathBuf::from("/nowhere.pem");
    for (certificate, key, word) in [
        (&certificate, &certificate, "has no private key"),
        (&key, &key, "has no certificate"),
        (&nowhere, &key, "server.tls_certificate: /nowhere.pem: No such file"),
        (&certificate, &nowhere, "server.tls_key: /nowhere.pem: No such file"),
    ] {
        let text = format!("[server]\ntls_certificate = {certificate:?}\ntls_key = {key:?}");
        let config = file(&text);
        let check = ["check", "--database-url", &database.url, "--config"];
        let ended = run(&[&check[..], &[config.to_str().unwrap()]].concat()).await;
        assert_eq!(ended.status, Some(1), "{text}: {ended:?}");
        assert!(ended.out.contains("finding: server.tls_"), "{text}: {ended:?}");
        assert!(ended.out.contains(word), "{text}: {ended:?}");
        let listen = ["http", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()];
        let ended = run(&listen).await;
        assert_eq!(ended.status, Some(2), "{text}: {ended:?}");
        assert!(ended.err.contains(word), "{text}: {}", ended.err);
    }
}
