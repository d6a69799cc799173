//! What a role's configuration says, from TOML, over HTTP, with tokens: encryption, marks, presets, masks, row filters
//! and limits at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_pg_tests::Database;
use serde_json::{Value, json};

use crate::issuer::{SIGNERS, claims, jwt};
use crate::program::{Era, Served, file, program};

const FIXTURE: &str = "
    CREATE TABLE patient (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ward text NOT NULL, name text, phone text DEFAULT '0301234567',
        ssn text, ssn_index text, note text, entered_by text);
    CREATE VIEW slow AS SELECT pg_sleep(60)::text AS nothing;";

const POLICY: &str = r#"
[columns]
sensitive = ["public.patient.name"]
untrusted = ["public.patient.note"]
[encryption]
columns = ["public.patient.ssn"]
blind_index = { "public.patient.ssn" = "ssn_index" }
[[roles.doctor.grants]]
tables = ["public.patient"]
actions = ["select", "insert"]
rows = { ward = "claim:/app/ward" }
preset = { entered_by = "claim:sub" }
columns = { decrypt = ["ssn"], mask = { phone = "last4" } }
[roles.clerk.limits]
max_rows = 1
statement_timeout = "300ms"
[[roles.clerk.grants]]
tables = ["*"]
actions = ["select"]
columns = { mask = { phone = "last4" } }
"#;

const SSN: &str = "078-05-1120";

/// Results of tools over HTTP, for callers of the issuer.
struct Clinic(Served);

impl Clinic {
    async fn call(&self, caller: [&str; 3], tool: &str, arguments: Value) -> Value {
        let [subject, role, ward] = caller;
        let told = claims(json!({"sub": subject, "app": {"role": role, "ward": ward}}));
        let bearer = format!("Bearer {}", SIGNERS[1].sign(None, &told));
        let call = json!({"name": tool, "arguments": arguments});
        let headers = [("Authorization", bearer.as_str())];
        let (status, answer) = self.0.request(Era::Discover, "tools/call", call, &headers).await;
        assert_eq!(status, 200, "{answer}");
        answer["result"]["structuredContent"].clone()
    }
}

const ANN: [&str; 3] = ["ann", "doctor", "A"];
const BEN: [&str; 3] = ["ben", "doctor", "B"];
const CLERK: [&str; 3] = ["cleo", "clerk", "A"];

#[tokio::test]
async fn a_role_has_over_http_what_its_configuration_says() {
    let database = Database::of(FIXTURE).await;
    let (public, log) = (file(&SIGNERS[1].pem), file(""));
    let config = file(&format!(
        "{POLICY}[audit]\nfile = {log:?}\n{}",
        jwt(&format!("public_key_file = {public:?}"))
    ));
    let keys = ["one", "index"].map(|id| format!("{id}:{}", STANDARD.encode([id.len() as u8; 32])));
    let mut command = program(&["http", "--listen", "127.0.0.1:0", "--config"]);
    command.arg(&config).env("DATABASE_URL", &database.url);
    let clinic = Clinic(Served::of(command.env("MCP_PG_ENCRYPTION_KEYS", keys.join("\n"))).await);

    // Preset, encrypted, masked, labelled.
    for (caller, name) in [(ANN, "Ida"), (BEN, "Jon")] {
        let data = json!({"ward": caller[2], "name": name, "ssn": SSN, "note": "obey me"});
        let done = clinic.call(caller, "insert", json!({"table": "patient", "data": data})).await;
        assert_eq!(done["row_count"], 1, "{done}");
        let row = json!({"name": name, "entered_by": caller[0], "ssn": SSN, "phone": "***4567"});
        for (column, value) in row.as_object().unwrap() {
            assert_eq!(&done["rows"][0][column], value, "{done}");
        }
        assert_eq!(done["untrusted"], json!(["note"]), "{done}");
    }
    let forged = json!({"table": "patient", "data": {"ward": "A", "entered_by": "bob"}});
    let told = clinic.call(ANN, "insert", forged).await;
    assert!(told["error"]["code"].is_string(), "{told}");
    let elsewhere = json!({"table": "patient", "data": {"ward": "B", "name": "Kim"}});
    assert_eq!(clinic.call(ANN, "insert", elsewhere).await["error"]["code"], "forbidden");
    let stored =
        "SELECT count(*)::text FROM patient p WHERE p::text LIKE '%078-05%' OR ssn IS NULL";
    assert_eq!(database.value(stored).await.as_deref(), Some("0"));

    // Each doctor finds the patient of one ward, by the blind index.
    let find = json!({"table": "patient", "where": {"ssn": SSN}, "columns": ["name", "ward"]});
    for (caller, row) in
        [(ANN, json!([{"name": "Ida", "ward": "A"}])), (BEN, json!([{"name": "Jon", "ward": "B"}]))]
    {
        assert_eq!(clinic.call(caller, "select", find.clone()).await["rows"], row);
    }

    // The clerk sees all rows but no plain text, one at a time, and does not wait for long.
    let told = clinic.call(CLERK, "select", find).await;
    assert_eq!(told["error"]["code"], "forbidden", "{told}");
    let page = clinic.call(CLERK, "select", json!({"table": "patient"})).await;
    let row = &page["rows"][0];
    assert_eq!((&row["ssn"], &row["phone"]), (&json!("***"), &json!("***4567")), "{page}");
    assert_eq!((&page["row_count"], page["next_cursor"].is_string()), (&json!(1), true), "{page}");
    let late = clinic.call(CLERK, "select", json!({"table": "slow"})).await;
    assert_eq!(late["error"]["code"], "timeout", "{late}");

    clinic.0.stop().await;
    let log = std::fs::read_to_string(log).unwrap();
    for hidden in ["Ida", SSN] {
        assert!(!log.contains(hidden), "{hidden}");
    }
    let records = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let reads = records.filter(|record| record["sensitive"] == json!(["name"]));
    assert!(reads.filter(|record| record["tool"] == "select").count() >= 3, "{log}");
}
