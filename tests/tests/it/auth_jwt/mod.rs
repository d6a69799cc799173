//! Authentication by JWTs of an issuer.

mod key_set;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use mcp_pg_tests::Database;
use serde_json::{Value, json};

use crate::auth_api_key::tools;
use crate::issuer::{SIGNERS, claims, ec, jwt, neutral_pem, rsa_pem};
use crate::program::{Served, file, run};

async fn start(database: &Database, config: &str) -> Served {
    let config = file(config);
    Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()]).await
}

/// A server that takes the tokens of all three signers, whose keys are named `rsa`, `ec` and `ed`.
async fn with_file(database: &Database, more: &str) -> Served {
    let keys: Vec<Value> = SIGNERS.iter().zip(IDS).map(|(signer, id)| signer.jwk(id)).collect();
    let jwks = file(&json!({"keys": keys}).to_string());
    start(database, &format!("{more}\n{}", jwt(&format!("jwks_file = {jwks:?}")))).await
}

const IDS: [&str; 3] = ["rsa", "ec", "ed"];

/// Head of the answer to a call with this token.
async fn answer(server: &Served, token: &str) -> String {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}).to_string();
    let authorization = format!("Bearer {token}");
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Authorization", authorization.as_str()),
    ];
    server.exchange("POST", "/mcp", &headers, &body).await.0
}

async fn status(server: &Served, token: &str) -> u16 {
    answer(server, token).await.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_token_of_each_algorithm_is_its_callers_role_and_claims() {
    let database = Database::shop().await;
    let server = with_file(
        &database,
        "default_role = \"nobody\"\n[roles.nobody]\n[roles.customer]\n[[roles.customer.grants]]\n\
         tables = [\"public.users\"]\nactions = [\"select\"]\nrows = { user_id = \"claim:customer\" }",
    )
    .await;
    for (customer, (signer, id)) in SIGNERS.iter().zip(IDS).enumerate() {
        for id in [Some(id), None] {
            let customer = customer + 1;
            let token = signer
                .sign(id, &claims(json!({"app": {"role": "customer"}, "customer": customer})));
            let header = format!("Bearer {token}");
            // The second time, the token is one that was verified before.
            for _ in 0..2 {
                let call = json!({"name": "select", "arguments": {"table": "users", "columns": ["user_id"]}});
                let (status, answer) = server
                    .request(
                        crate::program::Era::Initialize,
                        "tools/call",
                        call,
                        &[("Authorization", &header)],
                    )
                    .await;
                assert_eq!(status, 200, "{id:?}: {answer}");
                let rows = &answer["result"]["structuredContent"]["rows"];
                assert_eq!(rows, &json!([{"user_id": customer}]), "{id:?}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn a_token_with_a_wrong_issuer_audience_or_time_is_refused() {
    let database = Database::shop().await;
    let server = with_file(&database, "").await;
    let now = get_current_timestamp();
    let [rsa, ec_signer, _] = &*SIGNERS;
    let signed = |more: Value| ec_signer.sign(Some("ec"), &claims(more));
    let good = signed(json!({}));
    assert_eq!(status(&server, &good).await, 200);
    assert_eq!(status(&server, &signed(json!({"exp": now - 5}))).await, 200, "clocks may differ");
    assert_eq!(status(&server, &signed(json!({"aud": ["other", "mcp-pg"]}))).await, 200);

    let parts: Vec<&str> = good.split('.').collect();
    let other_payload = signed(json!({"app": {"role": "admin"}}));
    let swapped = format!("{}.{}.{}", parts[0], other_payload.split('.').nth(1).unwrap(), parts[2]);
    let unsigned = |algorithm: &str| {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"{algorithm}\",\"typ\":\"JWT\"}}"));
        format!("{header}.{}.", parts[1])
    };
    let confused = |kid: Option<&str>| {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::HS256) };
        let secret = EncodingKey::from_secret(rsa.pem.as_bytes());
        encode(&header, &claims(json!({})), &secret).unwrap()
    };
    let critical = {
        let mut header = Header::new(Algorithm::ES256);
        header.crit = Some(vec!["b64".into()]);
        encode(&header, &claims(json!({})), &ec_signer.key).unwrap()
    };
    let twice = |head: &str, first: &str| {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let body = claims(json!({"app": {"role": "admin"}})).to_string().replacen('{', first, 1);
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(body));
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &ec_signer.key, Algorithm::ES256);
        format!("{signed}.{}", signature.unwrap())
    };
    let head = r#"{"alg":"ES256","kid":"ec"}"#;
    assert_eq!(status(&server, &twice(head, "{")).await, 200);
    for (what, token) in [
        ("two roles", twice(head, r#"{"app":{"role":"analyst"},"#)),
        ("two roles in one", twice(head, r#"{"x":{"role":"admin","role":"analyst"},"#)),
        ("two subjects", twice(head, r#"{"sub":"bob","#)),
        ("two algorithms", twice(r#"{"alg":"none","alg":"ES256","kid":"ec"}"#, "{")),
        ("two of an unknown header", twice(r#"{"alg":"ES256","kid":"ec","x":"1","x":"2"}"#, "{")),
        ("expired", signed(json!({"exp": now - 120}))),
        ("not yet valid", signed(json!({"nbf": now + 120}))),
        ("no expiry", signed(json!({"exp": null}))),
        ("an expiry that is no number", signed(json!({"exp": "tomorrow"}))),
        ("another issuer", signed(json!({"iss": "https://evil.example.com"}))),
        (
            "several issuers",
            signed(json!({"iss": ["https://id.example.com", "https://evil.example.com"]})),
        ),
        ("no issuer", signed(json!({"iss": null}))),
        ("another audience", signed(json!({"aud": "other"}))),
        ("no audience", signed(json!({"aud": null}))),
        ("unsigned", unsigned("none")),
        ("unsigned in capitals", unsigned("None")),
        ("no signature", unsigned("ES256")),
        ("the public key as a secret", confused(None)),
        ("the public key as a secret, named", confused(Some("rsa"))),
        ("another key of the same name", ec().sign(Some("ec"), &claims(json!({})))),
        ("a key of another algorithm", ec_signer.sign(Some("rsa"), &claims(json!({})))),
        ("another payload", swapped),
        ("critical headers", critical),
        ("a part", parts[..2].join(".")),
        ("a token and more", format!("{good}.x")),
        ("nothing between dots", "..".to_owned()),
    ] {
        let head = answer(&server, &token).await;
        assert!(head.starts_with("HTTP/1.0 401"), "{what}: {head}");
        assert!(head.contains("error=\"invalid_token\""), "{what}: {head}");
    }
}

#[tokio::test]
async fn only_the_named_algorithms_count() {
    let database = Database::shop().await;
    let [rsa, ec, _] = &*SIGNERS;
    let jwks = file(&json!({"keys": [rsa.jwk("rsa"), ec.jwk("ec")]}).to_string());
    let config = jwt(&format!("jwks_file = {jwks:?}\nalgorithms = [\"ES256\"]"));
    let server = start(&database, &config).await;
    assert_eq!(status(&server, &ec.sign(Some("ec"), &claims(json!({})))).await, 200);
    assert_eq!(status(&server, &rsa.sign(Some("rsa"), &claims(json!({})))).await, 401);
}

#[tokio::test]
async fn a_public_key_file_serves_as_well() {
    let database = Database::shop().await;
    for signer in &*SIGNERS {
        let pem = file(&signer.pem);
        let server = start(&database, &jwt(&format!("public_key_file = {pem:?}"))).await;
        for id in [None, Some("any")] {
            assert_eq!(status(&server, &signer.sign(id, &claims(json!({})))).await, 200);
        }
        assert_eq!(status(&server, &ec().sign(None, &claims(json!({})))).await, 401);
    }
}

#[tokio::test]
async fn a_valid_token_without_a_role_here_gets_403() {
    let database = Database::shop().await;
    let server = with_file(&database, "").await;
    let [_, ec, _] = &*SIGNERS;
    let with = |role: Value| ec.sign(None, &claims(json!({"app": role})));
    for role in [
        json!({}),
        json!({"role": null}),
        json!({"role": "root"}),
        json!({"role": "Analyst"}),
        json!({"role": 1}),
        json!({"role": []}),
        json!({"role": ["analyst", "admin"]}),
    ] {
        let head = answer(&server, &with(role.clone())).await;
        assert!(head.starts_with("HTTP/1.0 403"), "{role}: {head}");
        assert!(head.contains("error=\"insufficient_scope\""), "{role}: {head}");
        assert!(head.contains("resource_metadata="), "{role}: {head}");
    }
    let listed = tools(&server, &with(json!({"role": ["offline_access", "analyst"]}))).await;
    assert!(listed.contains(&"select".to_owned()) && !listed.contains(&"update".to_owned()));
    let (_, metadata) = server.get("/.well-known/oauth-protected-resource").await;
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["authorization_servers"], json!(["https://id.example.com"]));
    assert_eq!(metadata["resource"], format!("http://{}/mcp", server.address));
}

#[tokio::test]
async fn a_wrong_jwt_section_is_told() {
    let pem = file(&SIGNERS[1].pem);
    let secret = file("-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n");
    let (short, neutral) = (file(&rsa_pem(1_024)), file(&neutral_pem()));
    let section = |keys: &str| format!("[auth.jwt]\nissuer = \"i\"\naudience = \"a\"\n{keys}");
    let good = format!("public_key_file = {pem:?}");
    for (text, word) in [
        (section(""), "exactly one of jwks_url"),
        (section(&format!("{good}\njwks_url = \"https://x/y\"")), "exactly one of jwks_url"),
        (format!("[auth.jwt]\naudience = \"a\"\n{good}"), "auth.jwt.issuer"),
        (format!("[auth.jwt]\nissuer = \"i\"\n{good}"), "auth.jwt.audience"),
        (section("jwks_url = \"http://id.example.com/keys\""), "https://"),
        (section(&format!("{good}\nalgorithms = [\"HS256\"]")), "HS256"),
        (section(&format!("{good}\nalgorithms = []")), "auth.jwt.algorithms"),
        (section(&format!("{good}\nrole_claim = \"role\"")), "\"/role\""),
        (section("public_key_file = \"/nowhere.pem\""), "/nowhere.pem"),
        (section(&format!("public_key_file = {secret:?}")), "private key"),
        (section(&format!("public_key_file = {short:?}")), "2,048 bits"),
        (section(&format!("public_key_file = {neutral:?}")), "too weak"),
        (section(&format!("jwks_file = {pem:?}")), "auth.jwt"),
    ] {
        let config = file(&text);
        let ended = run(&[
            "http",
            "--demo=shop",
            "--listen",
            "127.0.0.1:0",
            "--config",
            config.to_str().unwrap(),
        ])
        .await;
        assert_eq!(ended.status, Some(2), "{text}: {ended:?}");
        assert!(ended.err.contains(word), "{text}: no {word} in {}", ended.err);
    }
}

#[tokio::test]
async fn a_token_names_somebody() {
    let database = Database::shop().await;
    let log = file("");
    let server = with_file(&database, &format!("[audit]\nfile = {log:?}")).await;
    let [_, ec, _] = &*SIGNERS;
    for (named, expected) in [
        (json!({"sub": null}), 200),
        (json!({"sub": ""}), 401),
        (json!({"sub": ["ann"], "client_id": "report"}), 401),
        (json!({"sub": {"name": "ann"}}), 401),
        (json!({"sub": null, "client_id": "report"}), 200),
        (json!({"sub": 42}), 200),
    ] {
        let token = ec.sign(None, &claims(named.clone()));
        assert_eq!(status(&server, &token).await, expected, "{named}");
        let header = format!("Bearer {token}");
        let call = json!({"name": "list_tables", "arguments": {}});
        let headers = [("Authorization", header.as_str())];
        server.request(crate::program::Era::Initialize, "tools/call", call, &headers).await;
    }
    server.stop().await;
    let records = std::fs::read_to_string(&log).unwrap();
    let subjects: Vec<String> = records
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["outcome"] == "ok")
        .map(|record| record["actor"]["subject"].as_str().unwrap().to_owned())
        .collect();
    // A token that names nobody is a caller of its own.
    assert!(subjects[0].starts_with("token ") && subjects[0].len() == 22, "{subjects:?}");
    assert_eq!(subjects[1..], ["report", "42"]);
}
