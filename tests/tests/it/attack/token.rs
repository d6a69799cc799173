//! Tokens that were forged, replayed or put elsewhere, over HTTP: nobody passes, and nothing changes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use mcp_pg_tests::Database;
use serde_json::{Value, json};

use crate::auth_api_key::key;
use crate::issuer::{SIGNERS, claims, ec, jwt};
use crate::program::{Era, Served, file};

const HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json, text/event-stream"),
    ("MCP-Protocol-Version", "2025-11-25"),
];

fn body(tool: &str, arguments: &Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
}

/// Calls that would read or change something.
fn calls() -> [(&'static str, Value); 5] {
    [
        ("select", json!({"table": "users"})),
        ("list_tables", json!({})),
        ("update", json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}})),
        ("insert", json!({"table": "users", "data": {"name": "X", "email": "x@x.test"}})),
        ("no_such_tool", json!({})),
    ]
}

async fn start(database: &Database, more: &str) -> Served {
    let keys: Vec<Value> =
        SIGNERS.iter().zip(["rsa", "ec", "ed"]).map(|(signer, id)| signer.jwk(id)).collect();
    let jwks = file(&json!({"keys": keys}).to_string());
    let config = file(&format!("{}\n{more}", jwt(&format!("jwks_file = {jwks:?}"))));
    Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()]).await
}

fn forged() -> Vec<(&'static str, String)> {
    let [rsa, es, ed] = &*SIGNERS;
    let now = get_current_timestamp();
    let admin = |more: Value| {
        let mut all = claims(json!({"app": {"role": "admin"}}));
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let good = es.sign(Some("ec"), &admin(json!({})));
    let parts: Vec<&str> = good.split('.').collect();
    let text = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let under = |header: &str| format!("{}.{}.{}", text(header), parts[1], parts[2]);
    let keyed = |algorithm: Algorithm, secret: &[u8], kid: &str| {
        let header = Header { kid: Some(kid.into()), ..Header::new(algorithm) };
        encode(&header, &admin(json!({})), &EncodingKey::from_secret(secret)).unwrap()
    };
    let mut embedded = Header::new(Algorithm::ES256);
    let stranger = ec();
    embedded.jku = Some("http://127.0.0.1:1/jwks.json".into());
    embedded.jwk = serde_json::from_value(stranger.jwk("ec")).ok();
    embedded.kid = Some("ec".into());
    vec![
        ("alg none", format!("{}.{}.", text("{\"alg\":\"none\"}"), parts[1])),
        ("alg None", format!("{}.{}.", text("{\"alg\":\"None\"}"), parts[1])),
        ("alg none with a signature", under("{\"alg\":\"none\",\"kid\":\"ec\"}")),
        ("no algorithm", under("{\"kid\":\"ec\"}")),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("two algorithms", under("{\"alg\":\"ES256\",\"alg\":\"none\"}")),
        ("a public key as secret", keyed(Algorithm::HS256, rsa.pem.as_bytes(), "rsa")),
        ("the same, 384 bits", keyed(Algorithm::HS384, rsa.pem.trim().as_bytes(), "rsa")),
        ("an Ed25519 key as secret", keyed(Algorithm::HS256, ed.pem.as_bytes(), "ed")),
        ("an empty secret", keyed(Algorithm::HS256, b"", "ec")),
        (
            "a key that it brings along",
            encode(&embedded, &admin(json!({})), &stranger.key).unwrap(),
        ),
        ("a stranger's key", stranger.sign(Some("ec"), &admin(json!({})))),
        ("a key for another algorithm", es.sign(Some("rsa"), &admin(json!({})))),
        ("an unknown key id", es.sign(Some("../../etc/passwd"), &admin(json!({})))),
        ("SQL for a key id", es.sign(Some("' OR 1=1 --"), &admin(json!({})))),
        ("of another issuer", es.sign(None, &admin(json!({"iss": "https://evil.example.com"})))),
        ("for another audience", es.sign(None, &admin(json!({"aud": "billing"})))),
        ("for no audience", es.sign(None, &admin(json!({"aud": []})))),
        ("expired", es.sign(None, &admin(json!({"exp": now - 3_600})))),
        ("expired before 1970", es.sign(None, &admin(json!({"exp": -1})))),
        ("a text for an expiry", es.sign(None, &admin(json!({"exp": "9999999999"})))),
        ("not yet valid", es.sign(None, &admin(json!({"nbf": now + 3_600})))),
        ("too long", es.sign(None, &admin(json!({"x": "a".repeat(20_000)})))),
        ("two tokens", format!("{good}, Bearer {good}")),
        ("a byte less", good[..good.len() - 1].to_owned()),
        ("an API key's form", format!("mcp_pg_{}", "A".repeat(43))),
    ]
}

#[tokio::test]
async fn a_forged_token_opens_nothing() {
    let database = Database::shop().await;
    let server = start(&database, "").await;
    let users = "SELECT string_agg(u::text, ';' ORDER BY user_id) FROM users u";
    let before = database.value(users).await;
    let mut tried = 0;
    for (what, token) in forged() {
        let authorization = format!("Bearer {token}");
        let headers = [&HEADERS[..], &[("Authorization", authorization.as_str())]].concat();
        for (tool, arguments) in calls() {
            let (status, told) =
                server.send("POST", "/mcp", &headers, &body(tool, &arguments)).await;
            assert_eq!(status, 401, "{what}: {told}");
            for word in ["users", "admin", "email", &token] {
                assert!(!told.contains(word), "{what} tells {word}: {told}");
            }
            tried += 1;
        }
    }
    assert_eq!(database.value(users).await, before);
    assert!(tried > 120, "{tried} calls");
}

#[tokio::test]
async fn a_token_in_another_place_opens_nothing() {
    let database = Database::shop().await;
    let (secret, hash) = key().await;
    let entry = format!("[[auth.api_keys]]\nname = \"bot\"\nhash = {hash:?}\nrole = \"analyst\"");
    let server = start(&database, &entry).await;
    let token = SIGNERS[1].sign(Some("ec"), &claims(json!({"app": {"role": "admin"}})));
    let list = body("list_tables", &json!({}));
    for token in [&secret, &token] {
        let bearer = format!("Bearer {token}");
        let (cookie, twice) = (format!("Authorization={bearer}"), format!("Bearer Bearer {token}"));
        for more in [
            vec![],
            vec![("Authorization", token.as_str())],
            vec![("Authorization", twice.as_str())],
            vec![("Authorization", bearer.as_str()), ("Authorization", bearer.as_str())],
            vec![("Authorization", bearer.as_str()), ("Authorization", "Bearer x")],
            vec![("Proxy-Authorization", bearer.as_str())],
            vec![("X-Forwarded-Authorization", bearer.as_str())],
            vec![("Cookie", cookie.as_str())],
            vec![("Mcp-Session-Id", token.as_str())],
        ] {
            let headers = [&HEADERS[..], &more].concat();
            let (status, told) = server.send("POST", "/mcp", &headers, &list).await;
            assert_eq!(status, 401, "{more:?}: {told}");
        }
        let inside = format!("/mcp?access_token={token}");
        assert_eq!(server.send("POST", &inside, &HEADERS, &list).await.0, 401);
    }
    // Who may not do it may not do it under the name of who may.
    let bearer = format!("Bearer {secret}");
    let update = json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "X"},
        "role": "admin"});
    for (name, value) in
        [("X-Role", "admin"), ("X-Forwarded-User", "root"), ("Mcp-Session-Id", "1")]
    {
        let call = json!({"name": "update", "arguments": update, "role": "admin",
            "_meta": {"role": "admin", "authorization": {"role": "admin"}}});
        let headers = [("Authorization", bearer.as_str()), (name, value)];
        let (_, told) = server.request(Era::Initialize, "tools/call", call, &headers).await;
        let error = &told["result"]["structuredContent"]["error"]["code"];
        assert!(*error == "forbidden" || *error == "unknown_argument", "{told}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let database = Database::shop().await;
    let pem = file(&SIGNERS[1].pem);
    let keys = format!("public_key_file = {pem:?}\nleeway = \"1h\"");
    let config = file(&jwt(&keys));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    // Taken for the sake of clocks that differ, but long expired by this one.
    let late = claims(json!({"exp": get_current_timestamp() - 600}));
    let bearer = format!("Bearer {}", SIGNERS[1].sign(None, &late));
    let listen = json!({"notifications": {"toolsListChanged": true}});
    // The answer ends where the stream does.
    let (status, told) = server
        .request(Era::Discover, "subscriptions/listen", listen, &[("Authorization", &bearer)])
        .await;
    assert_eq!(status, 200, "{told}");
    assert!(told.to_string().contains("acknowledged"), "{told}");
}
