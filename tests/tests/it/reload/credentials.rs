//! Changed keys, tokens and limits take effect while the server runs.

use super::*;

#[tokio::test]
async fn a_revoked_key_is_refused_from_then_on() {
    let database = Database::shop().await;
    let made = run(&["hash-key"]).await.out;
    let part = |name: &str| {
        let line = made.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{made}")).trim().to_owned()
    };
    let (key, hash) = (part("key:"), part("hash:"));
    let other = run(&["hash-key"]).await.out;
    let other = other.lines().find_map(|line| line.strip_prefix("hash:")).unwrap().trim();
    let keys = |hash: &str| {
        format!("[[auth.api_keys]]\nname = \"bot\"\nhash = \"{hash}\"\nrole = \"analyst\"\n")
    };
    let config = file(&keys(&hash));
    let config_path = config.to_str().unwrap();
    let server = Served::start(&["--database-url", &database.url, "--config", config_path]).await;
    let bearer = format!("Bearer {key}");
    let list = async || -> u16 {
        let header = [("Authorization", bearer.as_str())];
        server.request(Era::Discover, "tools/list", json!({}), &header).await.0
    };
    assert_eq!(list().await, 200);
    std::fs::write(&config, keys(other)).unwrap();
    for attempt in 0.. {
        if list().await == 401 {
            break;
        }
        assert!(attempt < 500, "the key is still taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_last_key_is_revoked_like_any_other() {
    let database = Database::shop().await;
    let (key, hash) = key().await;
    let keys = format!("[[auth.api_keys]]\nname = \"bot\"\nhash = {hash:?}\nrole = \"analyst\"\n");
    let limits = "[limits]\nmax_rows = 500\n";
    let jwt = issuer::jwt(&format!("public_key_file = {:?}", file(&issuer::SIGNERS[1].pem)));
    let token = issuer::SIGNERS[1].sign(None, &issuer::claims(json!({})));
    for (credentials, bearer) in [(&keys, &key), (&jwt, &token)] {
        for none in ["", "[auth]\napi_keys = []\n", "[auth]\n"] {
            let config = file(&format!("{limits}{credentials}"));
            let path = config.to_str().unwrap();
            let mut server =
                Served::start(&["--database-url", &database.url, "--config", path]).await;
            let bearer = format!("Bearer {bearer}");
            let list = async |server: &Served| -> u16 {
                let header = [("Authorization", bearer.as_str())];
                server.request(Era::Discover, "tools/list", json!({}), &header).await.0
            };
            assert_eq!(list(&server).await, 200);
            std::fs::write(&config, format!("{limits}{none}")).unwrap();
            server.logged("the configuration names no credentials").await;
            assert_eq!(list(&server).await, 401, "{none:?}");
            let anonymous = server.request(Era::Discover, "tools/list", json!({}), &[]).await.0;
            assert_eq!(anonymous, 401, "{none:?}");
            std::fs::write(&config, format!("{limits}{credentials}")).unwrap();
            until("the key is accepted again", async || list(&server).await == 200).await;
        }
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_during_an_outage_is_gone_at_once() {
    let database = Database::shop().await;
    let ((key, hash), (new, other)) = (key().await, key().await);
    let keys = |hash: &str| {
        format!("[[auth.api_keys]]\nname = \"bot\"\nhash = {hash:?}\nrole = \"analyst\"\n")
    };
    let config = file(&keys(&hash));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let mut server = Served::start(&arguments).await;
    let list = async |server: &Served, key: &str| -> u16 {
        let bearer = format!("Bearer {key}");
        let header = [("Authorization", bearer.as_str())];
        server.request(Era::Discover, "tools/list", json!({}), &header).await.0
    };
    let name = database.config.get_dbname().unwrap();
    let mut admin = database.config.clone();
    admin.dbname("postgres");
    let admin = Database { config: admin, url: String::new() };
    admin.sql(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    let away = format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
    );
    admin.sql(&away).await;
    std::fs::write(&config, keys(&other)).unwrap();
    server.logged("the configuration cannot be used; the previous one stays in use").await;
    // To refuse a key needs no database; to accept another does.
    assert_eq!(list(&server, &key).await, 401);
    assert_eq!(list(&server, &new).await, 401);
    // Nobody touches the file again.
    admin.sql(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    until("the new key is accepted", async || list(&server, &new).await == 200).await;
    assert_eq!(list(&server, &key).await, 401);
}

#[tokio::test]
async fn a_key_is_refused_while_another_reload_waits() {
    let database = Database::shop().await;
    let ((kept, kept_hash), (gone, gone_hash)) = (key().await, key().await);
    let (kept, gone) = (format!("Bearer {kept}"), format!("Bearer {gone}"));
    let text = |keys: &[&String], calls: u32| {
        let key = |(n, hash): (usize, &&String)| {
            format!("[[auth.api_keys]]\nname = \"bot{n}\"\nhash = {hash:?}\nrole = \"analyst\"\n")
        };
        let keys: String = keys.iter().enumerate().map(key).collect();
        format!(
            "[database]\nlock_timeout = \"100s\"\nstatement_timeout = \"120s\"\n[limits]\nmax_rows = {calls}\n{keys}"
        )
    };
    let both = [&kept_hash, &gone_hash];
    let config = file(&text(&both, 500));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&arguments).await;
    let status = async |bearer: &str| {
        let header = [("Authorization", bearer)];
        server.request(Era::Discover, "tools/list", json!({}), &header).await.0
    };
    let client = database.client().await;
    for command in ["BEGIN", "LOCK pg_attrdef"] {
        client.execute(command, &[]).await.unwrap();
    }
    std::fs::write(&config, text(&both, 400)).unwrap();
    database.until_blocked(1).await;
    std::fs::write(&config, text(&[&kept_hash], 300)).unwrap();
    until("the key is refused", async || status(&gone).await == 401).await;
    // Nothing has been read yet.
    assert_eq!(database.value("SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").await.unwrap(), "1");
    assert_eq!(status(&kept).await, 200);
    client.execute("COMMIT", &[]).await.unwrap();
    let role = async || {
        let read = json!({"uri": "postgresql://role"});
        let header = [("Authorization", kept.as_str())];
        server.request(Era::Discover, "resources/read", read, &header).await.1.to_string()
    };
    until("the last configuration is taken", async || role().await.contains("300")).await;
    assert_eq!(status(&gone).await, 401);
}

#[tokio::test]
async fn keys_of_tokens_and_limits_are_taken() {
    let database = Database::shop().await;
    let [old, new] = [issuer::ec(), issuer::ec()];
    let key = file(&old.pem);
    let text = |calls: u32| {
        let jwt = issuer::jwt(&format!("public_key_file = {key:?}"));
        format!("[limits]\nrequests_per_minute = {calls}\n{jwt}")
    };
    let config = file(&text(1));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    let bearer = |signer: &issuer::Signer| {
        format!("Bearer {}", signer.sign(None, &issuer::claims(json!({}))))
    };
    let (old, new) = (bearer(&old), (bearer(&new), new));
    let call = async |bearer: &str| {
        let select = json!({"name": "select", "arguments": {"table": "users", "limit": 1}});
        let header = [("Authorization", bearer)];
        let (status, answer) = server.request(Era::Discover, "tools/call", select, &header).await;
        (status, answer["result"]["structuredContent"]["row_count"] == 1)
    };
    assert_eq!(call(&old).await, (200, true));
    assert_eq!(call(&old).await, (200, false), "the minute's call is spent");

    std::fs::write(&key, &new.1.pem).unwrap();
    for attempt in 0.. {
        if call(&new.0).await.0 == 200 {
            break;
        }
        assert!(attempt < 500, "the new key is not taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(call(&old).await.0, 401);
    assert_eq!(call(&new.0).await, (200, false), "counting went on");

    std::fs::write(&config, text(1000)).unwrap();
    for attempt in 0.. {
        if call(&new.0).await.1 {
            break;
        }
        assert!(attempt < 500, "the new limit is not taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_faulty_file_of_token_keys_is_not_taken() {
    let database = Database::shop().await;
    let [old, new] = [issuer::ec(), issuer::ec()];
    let key = file(&old.pem);
    let config = file(&issuer::jwt(&format!("public_key_file = {key:?}")));
    let config = config.to_str().unwrap();
    let mut server = Served::start(&["--database-url", &database.url, "--config", config]).await;
    let list = async |server: &Served, signer: &issuer::Signer| {
        let bearer = format!("Bearer {}", signer.sign(None, &issuer::claims(json!({}))));
        let header = [("Authorization", bearer.as_str())];
        server.request(Era::Discover, "tools/list", json!({}), &header).await.0
    };
    std::fs::write(&key, "no PEM").unwrap();
    server.logged("the previous one stays in use").await;
    assert_eq!(list(&server, &old).await, 200);
    std::fs::write(&key, &new.pem).unwrap();
    for attempt in 0.. {
        if list(&server, &new).await == 200 {
            break;
        }
        assert!(attempt < 500, "the new key is not taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(list(&server, &old).await, 401);
}
