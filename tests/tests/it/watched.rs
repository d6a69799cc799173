//! Files that the server rereads, replaced by something that is not a file: it neither stops the server nor is
//! opened.

#![cfg(unix)]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use mcp_pg_tests::{Database, until};
use serde_json::json;

use crate::auth_api_key::key;
use crate::canned::directory;
use crate::issuer::{self, Signer};
use crate::program::{Era, Served, file, run};

/// A directory that no other test has.
fn place() -> PathBuf {
    let place = file("").with_extension("d");
    fs::create_dir(&place).unwrap();
    place
}

/// Whatever is at this path is gone.
fn clear(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// A way to spoil the file at a path, whose text is given, and its name.
type Spoiler = (&'static str, fn(&Path, &str));

const SPOILERS: [Spoiler; 8] = [
    ("nothing", |_, _| {}),
    ("a pipe", |path, _| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
    ("a directory", |path, _| fs::create_dir(path).unwrap()),
    ("a link to nowhere", |path, _| symlink("/nowhere/at/all", path).unwrap()),
    ("a link to itself", |path, _| symlink(path, path).unwrap()),
    ("an empty file", |path, _| fs::write(path, "").unwrap()),
    ("100 MB", |path, _| File::create(path).unwrap().set_len(100 << 20).unwrap()),
    // In the middle of a line.
    ("a part of it", |path, text| fs::write(path, &text[..text.trim_end().len() - 3]).unwrap()),
];

impl Served {
    fn hang_up(&self) {
        let id = self.server.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }

    async fn lists(&self, bearer: &str) -> u16 {
        let bearer = format!("Bearer {bearer}");
        let header = [("Authorization", bearer.as_str())];
        self.request(Era::Discover, "tools/list", json!({}), &header).await.0
    }
}

fn token(signer: &Signer) -> String {
    signer.sign(None, &issuer::claims(json!({})))
}

#[tokio::test]
async fn a_missing_or_unreadable_file_neither_stops_the_server_nor_opens_it() {
    let database = Database::of("CREATE TABLE person (id serial PRIMARY KEY, ssn text)").await;
    let place = place();
    let signer = issuer::ec();
    let (api_key, hash) = key().await;
    let [config, pem, ring] = ["mcp-pg.toml", "issuer.pem", "ring"].map(|name| place.join(name));
    let text = format!(
        "{}[encryption]\ncolumns = [\"public.person.ssn\"]\nkey_file = \"ring\"\n\
         [[auth.api_keys]]\nname = \"ann\"\nrole = \"analyst\"\nhash = {hash:?}\n",
        issuer::jwt("public_key_file = \"issuer.pem\"")
    );
    let secret = "a:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n".to_owned();
    let files = [(&config, text), (&pem, signer.pem.clone()), (&ring, secret)];
    for (path, text) in &files {
        fs::write(path, text).unwrap();
    }
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let mut server = Served::start(&arguments).await;
    for (path, text) in &files {
        for (what, spoil) in SPOILERS {
            clear(path);
            spoil(path, text);
            server.hang_up();
            server.logged("the previous one stays in use").await;
            let answers = [
                server.lists(&api_key).await,
                server.lists(&token(&signer)).await,
                server.lists("").await,
                server.lists(&token(&issuer::ec())).await,
            ];
            assert_eq!(answers, [200, 200, 401, 401], "{what} for {}", path.display());
        }
        clear(path);
        fs::write(path, text).unwrap();
    }
    // Nor does it begin with any of them.
    for (path, text) in &files {
        for (what, spoil) in SPOILERS {
            if (*path, what) == (&config, "an empty file") {
                // That is a configuration: the default, for this machine alone.
                continue;
            }
            clear(path);
            spoil(path, text);
            let ended = run(&[&["http", "--listen", "127.0.0.1:0"], &arguments[..]].concat()).await;
            assert_eq!(ended.status, Some(2), "{what} for {}: {}", path.display(), ended.err);
            clear(path);
            fs::write(path, text).unwrap();
        }
    }
}

#[tokio::test]
async fn a_configuration_that_was_cut_short_gives_no_role_more() {
    let database = Database::shop().await;
    let (api_key, hash) = key().await;
    let keys = format!("[[auth.api_keys]]\nname = \"ann\"\nrole = \"analyst\"\nhash = {hash:?}\n");
    // Smaller than the role of this name that is built in.
    let narrow = "[limits]\nmax_rows = 50\n[roles.analyst]\n[[roles.analyst.grants]]\n\
                  tables = [\"public.products\"]\nactions = [\"select\"]\n";
    let another =
        "[[roles.auditor.grants]]\ntables = [\"public.orders\"]\nactions = [\"select\"]\n";
    let config = file(&format!("{narrow}{another}{keys}"));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let mut server = Served::start(&arguments).await;
    let bearer = format!("Bearer {api_key}");
    let read = async |server: &Served, table: &str| {
        let call = json!({"name": "select", "arguments": {"table": table}});
        let header = [("Authorization", bearer.as_str())];
        let (_, answer) = server.request(Era::Discover, "tools/call", call, &header).await;
        answer["result"]["structuredContent"]["error"]["code"].clone()
    };
    for cut in ["", "[limits]\nmax_rows = 50\n", &keys, &format!("{another}{keys}")] {
        fs::write(&config, cut).unwrap();
        server.hang_up();
        server.logged("the previous one stays in use").await;
        assert_eq!(read(&server, "users").await, "unknown_table", "{cut:?}");
    }
    // Nor in two steps, the first of which names the role nowhere.
    fs::write(&config, format!("{another}{}", keys.replace("analyst", "auditor"))).unwrap();
    server.hang_up();
    until("orders are read", async || read(&server, "orders").await != "unknown_table").await;
    fs::write(&config, format!("{another}{keys}")).unwrap();
    server.hang_up();
    server.logged("the previous one stays in use").await;
    assert_eq!(read(&server, "users").await, "unknown_table");
}

#[tokio::test]
async fn a_link_to_another_file_of_the_same_time_and_size_is_noticed() {
    let database = Database::shop().await;
    let place = place();
    let [old, new] = [issuer::ec(), issuer::ec()];
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    for (name, signer) in [("old.pem", &old), ("new.pem", &new)] {
        fs::write(place.join(name), &signer.pem).unwrap();
        File::options().write(true).open(place.join(name)).unwrap().set_modified(then).unwrap();
    }
    assert_eq!(old.pem.len(), new.pem.len());
    let link = place.join("issuer.pem");
    symlink("old.pem", &link).unwrap();
    let config = file(&issuer::jwt(&format!("public_key_file = {link:?}")));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&arguments).await;
    assert_eq!(server.lists(&token(&old)).await, 200);
    symlink("new.pem", place.join("next")).unwrap();
    fs::rename(place.join("next"), &link).unwrap();
    for attempt in 0.. {
        if server.lists(&token(&new)).await == 200 {
            break;
        }
        assert!(attempt < 500, "the new key is not taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.lists(&token(&old)).await, 401);
}

#[tokio::test]
async fn a_shared_state_key_is_whole_and_of_the_start() {
    let database = Database::shop().await;
    let secret = file("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n");
    let config = file(&format!("[server]\nstate_key_file = {secret:?}\n"));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let mut server = Served::start(&arguments).await;
    // Another one counts from the next start on: questions that are open can still be answered.
    fs::write(&secret, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    server.hang_up();
    server.logged("takes effect after a restart: [server]").await;
    for text in ["", "c2hvcnQ=", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=AAAA", "\u{0}"] {
        fs::write(&secret, text).unwrap();
        server.hang_up();
        server.logged("32 bytes in base64").await;
        let ended = run(&[&["http", "--listen", "127.0.0.1:0"], &arguments[..]].concat()).await;
        assert_eq!(ended.status, Some(2), "{text:?}: {}", ended.err);
        assert!(text.is_empty() || !ended.err.contains(text), "{}", ended.err);
    }
}

#[tokio::test]
async fn check_tells_of_keys_that_everyone_may_read() {
    let database = Database::shop().await;
    let secret = file("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n");
    let config = file(&format!("[server]\nstate_key_file = {secret:?}\n"));
    let arguments = ["check", "--database-url", &database.url, "--config"];
    let arguments = [&arguments[..], &[config.to_str().unwrap()]].concat();
    let note = format!("note: every user of this machine can read {}", secret.display());
    for (mode, told) in [(0o644, true), (0o640, false), (0o600, false)] {
        fs::set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
        let out = run(&arguments).await.out;
        assert_eq!(out.contains(&note), told, "{mode:o}: {out}");
    }
}

#[tokio::test]
async fn check_tells_of_hashes_that_change_with_each_start() {
    let database = Database::shop().await;
    let config = file(
        "[roles.clerk]\n[[roles.clerk.grants]]\ntables = [\"public.users\"]\nactions = [\"select\"]\n\
         columns = { mask = { email = \"hash\" } }\n",
    );
    let check = async |url: &str| {
        run(&["check", "--database-url", url, "--config", config.to_str().unwrap()]).await.out
    };
    let note = "the mask hash of roles.clerk changes with each start";
    let told = check(&database.url).await;
    assert!(told.contains(note), "{told}");
    // The password is not asked for here, but it is one.
    let told = check(&database.url.replace("://postgres@", "://postgres:one-secret@")).await;
    assert!(told.contains("login:") && !told.contains(note), "{told}");
    let short = "note: the login's password is short";
    assert!(told.contains(short) && !told.contains("one-secret"), "{told}");
    let told = check(&database.url.replace("://postgres@", "://postgres:longer-secret@")).await;
    assert!(told.contains("login:") && !told.contains(short), "{told}");
}

#[tokio::test]
async fn a_pipe_among_the_queries_is_a_fault_and_no_more() {
    let database = Database::shop().await;
    let queries = directory([("ids.sql", "SELECT user_id FROM users ORDER BY 1 LIMIT 2")]);
    let pipe = queries.join("pipe.sql");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let config = file(&format!("[queries]\ndirectory = {queries:?}\n"));
    let options = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let found = run(&[&["check"], &options[..]].concat()).await.out;
    assert!(found.contains("pipe.sql: cannot be read: it is not a file"), "{found}");
    let called = run(&[&["call", "ids", "{}"], &options[..]].concat()).await;
    assert_eq!(called.json()["row_count"], 2, "{called:?}");
}

/// A terminal without input is read like a file on a disk that does not answer.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_does_not_answer_delays_no_call() {
    let database = Database::shop().await;
    let place = place();
    let signer = issuer::ec();
    let pem = place.join("issuer.pem");
    fs::write(&pem, &signer.pem).unwrap();
    let config = file(&issuer::jwt(&format!("public_key_file = {pem:?}")));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&arguments).await;
    let opened = format!("/proc/{}/fd", server.server.id().unwrap());
    clear(&pem);
    symlink("/dev/ptmx", &pem).unwrap();
    server.hang_up();
    until("the file is read", async || {
        let mut files = fs::read_dir(&opened).unwrap().flatten();
        files.any(|file| fs::read_link(file.path()).is_ok_and(|file| file.ends_with("ptmx")))
    })
    .await;
    let answer = tokio::time::timeout(Duration::from_secs(30), server.lists(&token(&signer))).await;
    assert_eq!(answer, Ok(200));
}
