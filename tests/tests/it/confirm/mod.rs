//! Writes that need the user's confirmation, in both eras of the protocol.

mod existing_rows;
mod http;
mod last_numbers;
mod own_tools;
mod replay;
mod same_rows;
mod typed;

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use mcp_pg_core::policy::{Action, Role};
use mcp_pg_core::{Agreement, Origin, Principal, Settings};
use mcp_pg_tests::{Database, object};
use rmcp::model::{
    CallToolResponse, ClientCapabilities, ElicitRequestParams, ElicitResult, ElicitationAction,
    ErrorData, Implementation, InitializeRequestParams, InputRequiredResult, ProtocolVersion,
};
use rmcp::service::{RequestContext, RunningService};
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::program::{ERAS, Era, Session, file, params, program, run};

/// A user who answers in this order, and what was asked.
#[derive(Clone, Default)]
pub(crate) struct User {
    pub(crate) answers: Arc<Mutex<VecDeque<ElicitationAction>>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// What happens in the database while the user thinks.
    meanwhile: Option<(Database, &'static str)>,
}

impl User {
    pub(crate) fn will(answers: impl IntoIterator<Item = ElicitationAction>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Self::default() }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl ClientHandler for User {
    fn get_info(&self) -> InitializeRequestParams {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        InitializeRequestParams::new(capabilities, Implementation::from_build_env())
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ElicitRequestParams::FormElicitationParams { message, .. } = request else {
            panic!("not a form")
        };
        self.asked.lock().unwrap().push(message);
        if let Some((database, sql)) = &self.meanwhile {
            database.sql(sql).await;
        }
        let answer = self.answers.lock().unwrap().pop_front().expect("nothing more is asked");
        let content = (answer == ElicitationAction::Accept).then(|| json!({}));
        let mut result = ElicitResult::new(answer);
        result.content = content;
        Ok(result)
    }
}

pub(crate) struct Asking {
    client: RunningService<RoleClient, User>,
    _server: Child,
}

impl Asking {
    pub(crate) async fn open(config: &str, user: User, era: Era) -> Self {
        let mut server = program(&["stdio", "--role", "admin", "--config", config])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pipes = (server.stdout.take().unwrap(), server.stdin.take().unwrap());
        let lifecycle = match era {
            Era::Initialize => ClientLifecycleMode::Initialize,
            Era::Discover => ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
        };
        let client = user.serve_with_lifecycle(pipes, lifecycle).await.unwrap();
        Self { client, _server: server }
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let result = self.client.call_tool(params(tool, arguments)).await.unwrap();
        result.structured_content.unwrap()
    }
}

const RULES: &str = "confirm = [\"delete\", \"archive\"]\n[archive]\nallow_hard_delete = true\n";

/// A configuration that has `delete` and `archive` confirmed, and where its audit file is.
fn config(database: &Database) -> (String, std::path::PathBuf) {
    let log = file("");
    let text = format!("{RULES}[audit]\nfile = {log:?}\n[database]\nurl = {:?}\n", database.url);
    (file(&text).to_str().unwrap().to_owned(), log)
}

async fn reviews(database: &Database) -> i64 {
    let count = "SELECT count(*)::text FROM reviews";
    database.value(count).await.unwrap().parse().unwrap()
}

fn delete(review: i64) -> Value {
    json!({"table": "reviews", "where": {"review_id": {"lte": review}}, "max_rows": 9})
}

#[tokio::test]
async fn a_write_is_done_if_the_user_agrees() {
    use ElicitationAction::{Accept, Cancel, Decline};
    for era in ERAS {
        let database = Database::shop().await;
        let (config, log) = config(&database);
        let user = User::will([Decline, Cancel, Accept, Accept]);
        let session = Asking::open(&config, user.clone(), era).await;
        for _ in 0..2 {
            let refused = session.call("delete", delete(2)).await;
            assert_eq!(refused["error"]["code"], "forbidden", "{era:?} {refused}");
            assert_eq!(refused["error"]["message"], "the user declined");
            let asked = user.asked();
            assert!(asked[0].contains("delete 2 rows of reviews"), "{asked:?}");
            assert!(asked[0].contains("\"lte\":2"), "{asked:?}");
            assert_eq!(reviews(&database).await, 14);
        }
        assert_eq!(session.call("delete", delete(2)).await["row_count"], 2);
        assert_eq!(reviews(&database).await, 12);
        assert_eq!(user.asked().len(), 1);

        // A transaction asks once; a dry run, and what touches nothing, not at all.
        let remove = |review: i64| json!({"operation": "delete", "table": "reviews", "where": {"review_id": review}});
        let rename = json!({"operation": "update", "table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}});
        let operations = json!([remove(3), rename, remove(4)]);
        let dry = json!({"operations": operations, "dry_run": true});
        assert_eq!(session.call("transaction", dry).await["dry_run"], true);
        assert_eq!(session.call("delete", delete(2)).await["row_count"], 0);
        let mut few = delete(4);
        few["min_rows"] = json!(3);
        assert_eq!(session.call("delete", few).await["error"]["code"], "conflict");
        let done = session.call("transaction", json!({"operations": operations})).await;
        assert_eq!(done["committed"], true, "{done}");
        let asked = user.asked();
        assert_eq!(asked.len(), 1);
        assert!(asked[0].contains("delete 1 row of reviews, delete 1 row of reviews"), "{asked:?}");
        assert_eq!(reviews(&database).await, 10);

        session.client.cancel().await.unwrap();
        let records = std::fs::read_to_string(log).unwrap();
        let records: Vec<Value> =
            records.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let denied = records.iter().filter(|record| record["outcome"] == "denied");
        // Two that were declined, and four that had to be asked about.
        assert_eq!(denied.count(), 6, "{era:?}");
    }
}

#[tokio::test]
async fn the_user_is_asked_again_if_the_rows_are_others_by_then() {
    use ElicitationAction::{Accept, Decline};
    let one_less = "DELETE FROM reviews WHERE review_id = 1";
    let another = "DELETE FROM reviews WHERE review_id = (SELECT min(review_id) FROM reviews)";
    // As many as before.
    let exchanged =
        "WITH gone AS (DELETE FROM reviews WHERE review_id = 1 RETURNING product_id, user_id)
        INSERT INTO reviews (review_id, product_id, user_id, rating) OVERRIDING SYSTEM VALUE
        SELECT 0, product_id, user_id, 5 FROM gone";
    for (meanwhile, answers, questions, left) in [
        (exchanged, vec![Accept, Accept], ["2 rows", "2 rows", ""], 12),
        (one_less, vec![Accept, Accept], ["2 rows", "1 row", ""], 12),
        (one_less, vec![Accept, Decline], ["2 rows", "1 row", ""], 13),
        // There is an end to it.
        (another, vec![Accept; 3], ["5 rows", "4 rows", "3 rows"], 11),
    ] {
        let database = Database::shop().await;
        let (config, _) = config(&database);
        let user = User::will(answers);
        let user = User { meanwhile: Some((database.clone(), meanwhile)), ..user };
        let session = Asking::open(&config, user.clone(), Era::Initialize).await;
        let most = if meanwhile == another { 5 } else { 2 };
        let reply = session.call("delete", delete(most)).await;
        assert_eq!(reply.get("error").is_none(), left == 12, "{reply}");
        let asked = user.asked();
        let questions: Vec<&str> =
            questions.into_iter().filter(|words| !words.is_empty()).collect();
        assert_eq!(asked.len(), questions.len(), "{asked:?}");
        for (asked, words) in asked.iter().zip(questions) {
            assert!(asked.contains(&format!("delete {words} of reviews")), "{asked}");
        }
        assert_eq!(reviews(&database).await, left);
    }
}

#[tokio::test]
async fn a_client_that_cannot_ask_is_refused_with_the_reason() {
    let database = Database::shop().await;
    let (config, _) = config(&database);
    for era in ERAS {
        let arguments = ["stdio", "--role", "admin", "--config", &config];
        let session = Session::open(&arguments, era).await;
        let refused = session.call("delete", delete(2)).await.unwrap();
        let error = &refused["error"];
        assert_eq!(error["code"], "forbidden", "{era:?} {refused}");
        assert_eq!(error["message"], "the user must agree first: delete 2 rows of reviews");
        assert!(error["hint"].as_str().unwrap().contains("ask its user"), "{refused}");
        let update = json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}});
        assert_eq!(session.call("update", update).await.unwrap()["row_count"], 1);
    }
    let call = |yes: &[&str]| {
        let arguments = delete(2).to_string();
        let mut line = vec!["call", "delete", &arguments, "--role", "admin", "--config", &config];
        line.extend(yes);
        let line: Vec<String> = line.into_iter().map(str::to_owned).collect();
        async move { run(&line.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    let refused = call(&[]).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (Some(1), &json!("forbidden")));
    assert_eq!(refused.json()["error"]["hint"], "--yes agrees to it");
    assert_eq!(reviews(&database).await, 14);
    let done = call(&["--yes"]).await;
    assert_eq!((done.status, &done.json()["row_count"]), (Some(0), &json!(2)));
}

#[tokio::test]
async fn a_role_that_confirms_after_untrusted_text_alone_is_asked() {
    use ElicitationAction::{Accept, Decline};
    for era in ERAS {
        let database = Database::shop().await;
        let grant = "tables = [\"*\"]\nactions = [\"select\", \"update\"]";
        let config = file(&format!(
            "default_role = \"admin\"\n[columns]\nuntrusted = [\"public.reviews.body\"]\n\
             [roles.admin]\nconfirm_after_untrusted = true\n[[roles.admin.grants]]\n{grant}\n\
             [database]\nurl = {:?}\n",
            database.url
        ));
        let user = User::will([Decline, Accept]);
        let session = Asking::open(config.to_str().unwrap(), user.clone(), era).await;
        let read = json!({"operation": "select", "table": "reviews", "limit": 1});
        let rename =
            json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "Renamed"}});
        let mut write = rename.clone();
        write["operation"] = json!("update");
        let tainted = json!({"operations": [read, write]});
        let name = "SELECT name FROM users WHERE user_id = 1";
        let declined = session.call("transaction", tainted.clone()).await;
        assert_eq!(declined["error"]["message"], "the user declined", "{era:?} {declined}");
        assert_ne!(database.value(name).await.as_deref(), Some("Renamed"));
        let agreed = session.call("transaction", tainted).await;
        assert_eq!(agreed["committed"], true, "{era:?} {agreed}");
        assert_eq!(user.asked().len(), 2);
        // Without the text there is nothing to ask about.
        assert_eq!(session.call("update", rename).await["row_count"], 1);
        assert_eq!(user.asked(), [] as [&str; 0]);
    }
}

#[tokio::test]
async fn a_confirmation_is_good_for_one_use_of_one_plan() {
    let database = Database::shop().await;
    database.sql("CREATE TABLE kept AS SELECT * FROM reviews WHERE review_id = 2").await;
    let (config, _) = config(&database);
    let session = Asking::open(&config, User::default(), Era::Discover).await;
    let send = async |arguments: Value, state: Option<&str>| {
        let mut request = params("delete", arguments);
        request.request_state = state.map(str::to_owned);
        request.input_responses = state
            .map(|_| [("confirm".to_owned(), json!({"action": "accept", "content": {}}))].into());
        session.client.call_tool_once(request).await.unwrap()
    };
    let asked = |response: CallToolResponse| -> InputRequiredResult {
        match response {
            CallToolResponse::InputRequired(question) => question,
            other => panic!("{other:?}"),
        }
    };
    let state = |response| asked(response).request_state.unwrap();

    let first = state(send(delete(2), None).await);
    // For another request, and changed, it is worth nothing.
    let other = state(send(delete(3), Some(&first)).await);
    assert_ne!(other, first);
    let last = if first.ends_with('A') { "B" } else { "A" };
    asked(send(delete(2), Some(&format!("{}{last}", &first[..first.len() - 1]))).await);
    asked(send(delete(2), Some("")).await);
    assert_eq!(reviews(&database).await, 14);

    // Of what was agreed to, there is less now.
    let state_of_two = state(send(delete(2), None).await);
    database.sql("DELETE FROM reviews WHERE review_id = 1").await;
    let state_of_one = state(send(delete(2), Some(&state_of_two)).await);
    let done = send(delete(2), Some(&state_of_one)).await;
    assert!(matches!(done, CallToolResponse::Complete(result) if result.is_error != Some(true)));
    assert_eq!(reviews(&database).await, 12);

    // Once more exactly the same: it is spent.
    database.sql("INSERT INTO reviews OVERRIDING SYSTEM VALUE SELECT * FROM kept").await;
    asked(send(delete(2), Some(&state_of_one)).await);
    assert_eq!(reviews(&database).await, 13);
}

#[tokio::test]
async fn a_confirmation_of_restore_is_not_one_of_archive() {
    let database = Database::shop().await;
    let mut roles = Role::built_in().into_iter();
    let mut role = roles.find(|role| role.name == "admin").expect("a role of that name");
    role.name = "careful".into();
    role.confirm = [Action::Archive, Action::Restore].into_iter().collect();
    let settings = Settings { roles: vec![role], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let caller = Principal::new("ann", "careful");
    let origin = Origin::default();
    let arguments = object(json!({"table": "users", "where": {"country": "FR"}, "max_rows": 100}));
    database
        .sql("UPDATE users SET country = 'DE';
              UPDATE users SET country = 'FR', archived_at = CASE user_id WHEN 1 THEN now() END WHERE user_id IN (1, 2)")
        .await;
    let asked = engine.call(&caller, &origin, "restore", arguments.clone()).await.unwrap_err();
    let plan = asked.question().expect("a question").plan.clone();
    let agreed = Agreement { plan, number: None };
    let archive =
        engine.call_agreed(&caller, &origin, "archive", arguments.clone(), Some(&agreed)).await;
    assert!(archive.unwrap_err().question().is_some());
    let restore = engine.call_agreed(&caller, &origin, "restore", arguments, Some(&agreed)).await;
    restore.unwrap();
    let archived =
        "SELECT count(*)::text FROM users WHERE archived_at IS NOT NULL AND country = 'FR'";
    assert_eq!(database.value(archived).await.as_deref(), Some("0"));
}
