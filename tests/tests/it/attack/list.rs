//! Lists, schemas, resources, prompts and completions: every byte that a client gets besides replies to calls.

use mcp_pg_tests::Database;
use serde_json::{Value, json};

use super::{FIXTURE, assert_silent};
use crate::auth_api_key::key;
use crate::canned::directory;
use crate::program::{ERAS, Served, file};

#[tokio::test]
async fn no_list_and_no_schema_names_what_is_hidden() {
    let database = Database::of(FIXTURE).await;
    database
        .sql(
            "CREATE SCHEMA api;
             CREATE FUNCTION api.count_zq(pin_zq text) RETURNS TABLE (ssn_zq text) LANGUAGE sql STABLE
                 AS $$ SELECT ssn FROM public.client WHERE client.pin_zq = $1 $$;
             COMMENT ON FUNCTION api.count_zq IS E'QZ counts\\n@tool report_zq\\n@roles admin';",
        )
        .await;
    let queries = directory([(
        "pins_zq.sql",
        "-- QZ: all pins.\n-- @roles admin\n-- @param like_zq text: QZ\nSELECT pin_zq FROM client WHERE name LIKE :like_zq",
    )]);
    let [agent, admin] = [key().await, key().await];
    let config = file(&format!(
        "default_role = \"agent\"\n[queries]\ndirectory = {queries:?}\nfunctions = [\"api\"]\n\
         [[roles.admin.grants]]\ntables = [\"*\"]\nactions = [\"select\", \"insert\", \"update\", \"delete\"]\n\
         [[roles.agent.grants]]\ntables = [\"public.client\"]\n\
         actions = [\"select\", \"insert\", \"update\", \"archive\", \"restore\"]\n\
         columns = {{ exclude = [\"pin_zq\", \"ssn_zq\", \"code_zq\", \"made_zq\", \"tenant\"], mask = {{ email = \"email\" }} }}\n\
         rows = {{ tenant = 1 }}\n\
         [[roles.agent.grants]]\ntables = [\"public.note\"]\nactions = [\"select\", \"insert\"]\n\
         columns = {{ exclude = [\"aside_zq\", \"mail\"] }}\nrows = {{ client_id = {{ in = [1, 2] }} }}\n\
         [[auth.api_keys]]\nname = \"mallory\"\nhash = {:?}\nrole = \"agent\"\n\
         [[auth.api_keys]]\nname = \"root\"\nhash = {:?}\nrole = \"admin\"\n",
        agent.1, admin.1
    ));
    let options = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&options).await;
    let complete = |kind: Value, name: &str, value: &str| json!({"ref": kind, "argument": {"name": name, "value": value}});
    let template = || json!({"type": "ref/resource", "uri": "postgresql://schema/{table}"});
    let prompt = || json!({"type": "ref/prompt", "name": "check_data_quality"});
    let mut requests: Vec<(&str, Value)> =
        ["tools/list", "resources/list", "resources/templates/list", "prompts/list"]
            .map(|method| (method, json!({})))
            .into();
    requests.extend(
        ["schema", "diagram", "role", "schema/client", "schema/note", "schema/public.client"]
            .map(|path| ("resources/read", json!({"uri": format!("postgresql://{path}")}))),
    );
    requests.extend(["p", "c", "n", "o", "i", ""].into_iter().flat_map(|typed| {
        [template(), prompt()].map(|kind| ("completion/complete", complete(kind, "table", typed)))
    }));
    requests.extend([
        ("prompts/get", json!({"name": "explore_database"})),
        ("prompts/get", json!({"name": "answer_question", "arguments": {"question": "?"}})),
        ("prompts/get", json!({"name": "check_data_quality", "arguments": {"table": "client"}})),
        ("prompts/get", json!({"name": "plan_change", "arguments": {"goal": "?"}})),
    ]);
    let bearer = |key: &str| format!("Bearer {key}");
    let (mallory, root) = (bearer(&agent.0), bearer(&admin.0));
    let mut seen = 0;
    for era in ERAS {
        for (method, params) in &requests {
            // Who sees all of it asks first.
            let header = [("Authorization", root.as_str())];
            let (_, all) = server.request(era, method, params.clone(), &header).await;
            seen += usize::from(all.to_string().to_lowercase().contains("zq"));
            let header = [("Authorization", mallory.as_str())];
            let (status, told) = server.request(era, method, params.clone(), &header).await;
            assert_eq!(status, 200, "{method} {params}: {told}");
            assert!(told.get("result").is_some(), "{method} {params}: {told}");
            assert_silent(&told.to_string(), &format!("{era:?} {method} {params}"));
        }
    }
    assert!(seen > 20, "the other role was told of {seen}");
}
