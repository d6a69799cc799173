//! The issuer's keys: where they come from, and how long they are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use mcp_pg_tests::Database;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{start, status};
use crate::auth_api_key::tools;
use crate::canned::directory;
use crate::issuer::{SIGNERS, claims, ec, jwt};
use crate::program::{Era, Served, file, run};
use crate::streams::Stream;

/// An issuer's key set behind a URL, and how often it was read.
struct Published {
    keys: Arc<Mutex<Value>>,
    reads: Arc<AtomicUsize>,
    url: String,
}

async fn publish(keys: Value) -> Published {
    let keys = Arc::new(Mutex::new(keys));
    let reads = Arc::new(AtomicUsize::new(0));
    let (shown, count) = (keys.clone(), reads.clone());
    let page = get(async move || {
        count.fetch_add(1, Ordering::Relaxed);
        Json(shown.lock().await.clone())
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, Router::new().route("/jwks.json", page)).await });
    Published { keys, reads, url }
}

#[tokio::test]
async fn keys_behind_a_url_are_kept_and_rotate() {
    let database = Database::shop().await;
    let (old, new) = (ec(), ec());
    let published = publish(json!({"keys": [old.jwk("1")]})).await;
    let server = start(&database, &jwt(&format!("jwks_url = {:?}", published.url))).await;
    let valid = claims(json!({}));
    for _ in 0..20 {
        assert_eq!(status(&server, &old.sign(Some("1"), &valid)).await, 200);
    }
    assert_eq!(published.reads.load(Ordering::Relaxed), 1, "they are kept");
    let early = old.sign(Some("1"), &valid);
    assert_eq!(status(&server, &early).await, 200);
    *published.keys.lock().await = json!({"keys": [new.jwk("2")]});
    assert_eq!(
        status(&server, &new.sign(Some("2"), &valid)).await,
        200,
        "an unknown id is looked for"
    );
    assert_eq!(published.reads.load(Ordering::Relaxed), 2);
    assert_eq!(
        status(&server, &early).await,
        401,
        "what was verified with the old key is forgotten"
    );
    for attempt in 0..40 {
        let id = format!("invented-{attempt}");
        assert_eq!(status(&server, &new.sign(Some(&id), &valid)).await, 401);
    }
    let reads = published.reads.load(Ordering::Relaxed);
    assert!(reads <= 8, "{reads} reads for 40 invented ids");
    assert_eq!(status(&server, &new.sign(Some("2"), &valid)).await, 200);
}

#[tokio::test]
async fn clients_that_disconnect_do_not_keep_the_keys_from_being_read() {
    let database = Database::shop().await;
    let (old, new) = (ec(), ec());
    let published = publish(json!({"keys": [old.jwk("1")]})).await;
    let server = start(&database, &jwt(&format!("jwks_url = {:?}", published.url))).await;
    let valid = claims(json!({}));
    assert_eq!(status(&server, &old.sign(Some("1"), &valid)).await, 200);
    let mut keys = published.keys.lock().await;
    for attempt in 0..8 {
        let token = new.sign(Some(&format!("invented-{attempt}")), &valid);
        let left = tokio::time::timeout(Duration::from_millis(100), status(&server, &token)).await;
        assert!(left.is_err(), "{left:?}");
    }
    *keys = json!({"keys": [new.jwk("2")]});
    drop(keys);
    assert_eq!(status(&server, &new.sign(Some("2"), &valid)).await, 200);
    let reads = published.reads.load(Ordering::Relaxed);
    assert_eq!(reads, 2, "one read for all that wait");
}

#[tokio::test]
async fn an_issuer_that_cannot_be_reached_lets_nobody_in() {
    let database = Database::shop().await;
    let signer = ec();
    let published = publish(json!({"error": "later"})).await;
    let server = start(&database, &jwt(&format!("jwks_url = {:?}", published.url))).await;
    let token = signer.sign(Some("1"), &claims(json!({})));
    assert_eq!(status(&server, &token).await, 503);
    // It is not the database that is away.
    let bearer = format!("Bearer {token}");
    let header = [("Authorization", bearer.as_str())];
    let (_, told) = server.request(Era::Initialize, "tools/list", json!({}), &header).await;
    let error = &told["error"];
    assert_eq!((&error["code"], &error["retryable"]), (&json!("internal"), &json!(true)), "{told}");
    assert!(error["message"].as_str().unwrap().contains("issuer"), "{told}");
    *published.keys.lock().await = json!({"keys": [signer.jwk("1")]});
    assert_eq!(status(&server, &token).await, 200);
    *published.keys.lock().await = json!("gone");
    assert_eq!(status(&server, &token).await, 200, "known keys stay");
    assert_eq!(status(&server, &signer.sign(Some("2"), &claims(json!({})))).await, 401);
    assert_eq!(status(&server, &token).await, 200, "after a failed reading too");
    assert_eq!(status(&server, &ec().sign(Some("2"), &claims(json!({})))).await, 401);
}

#[tokio::test]
async fn known_keys_stay_when_the_configuration_is_read_again() {
    let database = Database::shop().await;
    let signer = ec();
    let published = publish(json!({"keys": [signer.jwk("1")]})).await;
    let queries = directory([("one.sql", "SELECT 1 AS one")]);
    let text = |more: &str| {
        let jwt = jwt(&format!("jwks_url = {:?}", published.url));
        format!("{more}[queries]\ndirectory = {queries:?}\n{jwt}")
    };
    let config = file(&text(""));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&arguments).await;
    let token = signer.sign(Some("1"), &claims(json!({})));
    assert_eq!(status(&server, &token).await, 200);
    *published.keys.lock().await = json!("gone");
    std::fs::write(queries.join("two.sql"), "SELECT 2 AS two").unwrap();
    for attempt in 0.. {
        if tools(&server, &token).await.contains(&"two".to_owned()) {
            break;
        }
        assert!(attempt < 500, "the new tool is not there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let fresh = signer.sign(Some("1"), &claims(json!({"jti": "fresh"})));
    assert_eq!(status(&server, &fresh).await, 200);
    // Another role is no reason to forget the keys, either.
    let grant = "[[roles.ROLE.grants]]\ntables = [\"*\"]\nactions = [\"select\"]\n";
    let roles = ["analyst", "auditor"].map(|role| grant.replace("ROLE", role)).concat();
    std::fs::write(&config, text(&roles)).unwrap();
    let auditor = signer.sign(Some("1"), &claims(json!({"app": {"role": "auditor"}})));
    for attempt in 0.. {
        match status(&server, &auditor).await {
            200 => break,
            told => assert_eq!(told, 403),
        }
        assert!(attempt < 500, "the new role is not there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status(&server, &token).await, 200);
    assert_eq!(published.reads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn check_notes_keys_that_make_tokens() {
    let database = Database::shop().await;
    let [_, ec, _] = &*SIGNERS;
    let symmetric = json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"});
    for (keys, noted) in [(json!([ec.jwk("ec")]), false), (json!([ec.jwk("ec"), symmetric]), true)]
    {
        let jwks = file(&json!({"keys": keys}).to_string());
        let config = file(&jwt(&format!("jwks_file = {jwks:?}")));
        let ended =
            run(&["check", "--database-url", &database.url, "--config", config.to_str().unwrap()])
                .await;
        assert_eq!(ended.out.contains("which make tokens"), noted, "{ended:?}");
    }
}

#[tokio::test]
async fn check_finds_keys_that_cannot_be_read() {
    let database = Database::shop().await;
    let published = publish(json!({"keys": [ec().jwk("1")]})).await;
    let nowhere = published.url.replace("jwks.json", "nowhere");
    for (url, found) in [(&published.url, false), (&nowhere, true)] {
        let config = file(&jwt(&format!("jwks_url = {url:?}")));
        let ended =
            run(&["check", "--database-url", &database.url, "--config", config.to_str().unwrap()])
                .await;
        let finding = format!("finding: auth.jwt.jwks_url: {url}: status 404");
        assert_eq!(ended.out.contains(&finding), found, "{ended:?}");
        assert_eq!(ended.out.contains("auth.jwt"), found, "{ended:?}");
    }
}

#[tokio::test]
async fn streams_end_when_the_issuer_changes_its_keys() {
    let database = Database::shop().await;
    let (old, new) = (ec(), ec());
    let published = publish(json!({"keys": [old.jwk("1")]})).await;
    let server = start(&database, &jwt(&format!("jwks_url = {:?}", published.url))).await;
    let token = old.sign(Some("1"), &claims(json!({})));
    let filter = json!({"toolsListChanged": true});
    let mut stream = Stream::open_by(&server, Some(&token), filter).await;
    stream.next().await;
    // Once the server has noted the keys.
    tokio::time::sleep(Duration::from_secs(3)).await;
    *published.keys.lock().await = json!({"keys": [new.jwk("2")]});
    assert_eq!(status(&server, &new.sign(Some("2"), &claims(json!({})))).await, 200);
    let ended = async { while stream.next_if_any().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the stream goes on");
}
