//! Prompts and completion, for what the caller sees.

use mcp_pg_tests::Database;
use rmcp::ServiceError;
use rmcp::model::{
    ArgumentInfo, CompleteRequestParams, ErrorCode, GetPromptRequestParams, Reference,
};
use serde_json::json;

use crate::program::{Era, Session, file};

/// Most characters of a prompt. Names with digits are long to a model: two thousand tokens have more than these.
const MOST: usize = 4_500;

async fn explore(session: &Session) -> String {
    let request = GetPromptRequestParams::new("explore_database");
    let prompt = session.client.get_prompt(request).await.unwrap();
    serde_json::to_value(&prompt.messages).unwrap()[0]["content"]["text"].as_str().unwrap().into()
}

#[tokio::test]
async fn an_overview_tells_tables_relations_conventions_and_tools() {
    let database = Database::shop().await;
    let arguments = ["stdio", "--role", "operator", "--database-url", &database.url];
    let session = Session::open(&arguments, Era::Initialize).await;
    let text = explore(&session).await;
    for part in [
        "\"orders\"",
        "one \"user\"",
        "many \"order_items\"",
        "\"archived_at\" is archived",
        "describe_table",
        "dry_run",
        "\"Orders of users; their lines are in order_items.\"",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    assert!(text.len() < MOST, "{} characters", text.len());
}

#[tokio::test]
async fn an_overview_of_a_thousand_tables_is_short() {
    let database = Database::of(&mcp_pg_benches::wide::wide_schema_sql()).await;
    let session = Session::open(&["stdio", "--database-url", &database.url], Era::Initialize).await;
    let text = explore(&session).await;
    assert!(text.starts_with("Give an overview"), "{text}");
    assert!(text.contains("1000 tables are visible") && text.contains(" more\n"), "{text}");
    assert!(text.len() < MOST, "{} characters", text.len());
}

/// Passes without a word where the database's dump is not on this machine.
#[tokio::test]
async fn an_overview_of_a_database_without_comments_tells_what_its_keys_do() {
    let Some(database) = Database::real("pagila").await else { return };
    // Whether making its indexes counts a table's rows depends on the version.
    database.sql("ANALYZE").await;
    let session = Session::open(&["stdio", "--database-url", &database.url], Era::Initialize).await;
    let text = explore(&session).await;
    for part in ["\"film\" (", "one \"language\"", "many \"film_actor\"", "\"sales_by_store\""] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    assert!(text.len() < MOST, "{} characters", text.len());
}

#[tokio::test]
async fn prompts_name_the_tools_of_ones_own() {
    let database = Database::shop().await;
    let queries = crate::canned::directory([
        ("late_orders.sql", "-- @roles reporter, analyst\nSELECT order_id FROM orders"),
        ("of_others.sql", "-- @roles analyst\nSELECT 1 AS one"),
    ]);
    let config = format!(
        "default_role = \"reporter\"\n[queries]\ndirectory = {:?}\n[roles.reporter]\n",
        queries.display()
    );
    let config = file(&config);
    let arguments =
        ["stdio", "--database-url", &database.url, "--config", config.to_str().unwrap()];
    let session = Session::open(&arguments, Era::Initialize).await;
    let text = explore(&session).await;
    assert!(text.contains("better where they fit: late_orders.\n"), "{text}");
    // The role has none of these.
    assert!(!text.contains("of_others") && !text.contains("list_tables"), "{text}");
    let question = json!({"question": "What is late?"}).as_object().cloned().unwrap();
    let request = GetPromptRequestParams::new("answer_question").with_arguments(question);
    let prompt = session.client.get_prompt(request).await.unwrap();
    assert!(serde_json::to_string(&prompt.messages).unwrap().contains("late_orders"));
}

#[tokio::test]
async fn a_plan_is_tried_by_who_may_write() {
    let database = Database::shop().await;
    for (role, tried) in [("analyst", false), ("operator", true)] {
        let arguments = ["stdio", "--database-url", &database.url, "--role", role];
        let session = Session::open(&arguments, Era::Initialize).await;
        let goal = json!({"goal": "Close old accounts."}).as_object().cloned().unwrap();
        let request = GetPromptRequestParams::new("plan_change").with_arguments(goal);
        let prompt = session.client.get_prompt(request).await.unwrap();
        let text = serde_json::to_string(&prompt.messages).unwrap();
        assert_eq!(text.contains("dry_run"), tried, "{role}: {text}");
    }
}

async fn completed(
    session: &Session,
    reference: Reference,
    name: &str,
    typed: &str,
) -> Vec<String> {
    let request = CompleteRequestParams::new(reference, ArgumentInfo::new(name, typed));
    session.client.complete(request).await.unwrap().completion.values
}

#[tokio::test]
async fn words_are_completed_from_what_the_role_sees() {
    let database = Database::shop().await;
    let clerk = file(
        "default_role = \"clerk\"\n[[roles.clerk.grants]]\ntables = [\"public.orders\", \"public.users\"]\n\
         actions = [\"select\"]\ncolumns = { exclude = [\"email\"] }",
    );
    let arguments = ["stdio", "--database-url", &database.url, "--config", clerk.to_str().unwrap()];
    let session = Session::open(&arguments, Era::Initialize).await;
    let question = |typed: &'static str| {
        completed(&session, Reference::for_prompt("answer_question"), "question", typed)
    };
    // Each name that fits would repeat the sentence.
    let long = format!("{} or", "x".repeat(5_000));
    let whole = completed(&session, Reference::for_prompt("answer_question"), "question", &long);
    assert_eq!(whole.await, Vec::<String>::new());
    assert_eq!(question("How many or").await, ["How many orders", "How many order_id"]);
    assert_eq!(question("What is pen").await, ["What is pending"]);
    assert_eq!(question("Sum of orders.to").await, ["Sum of orders.total"]);
    assert_eq!(question("Which users.em").await, Vec::<String>::new());
    assert_eq!(question("Count public.us").await, ["Count public.users"]);
    for hidden in ["whose ema", "which prod", "", "nothing "] {
        assert!(question(hidden).await.is_empty(), "{hidden:?}");
    }
    let table =
        completed(&session, Reference::for_prompt("check_data_quality"), "table", "ER").await;
    assert_eq!(table, ["orders", "users"]);
    for (typed, expected) in [("public.or", vec!["public.orders"]), ("public.pro", vec![])] {
        let found =
            completed(&session, Reference::for_prompt("check_data_quality"), "table", typed).await;
        assert_eq!(found, expected, "{typed}");
    }
}

#[tokio::test]
async fn unknown_prompts_and_arguments_are_not_completed() {
    let session = Session::open(&["stdio", "--demo=shop"], Era::Initialize).await;
    for (reference, name, words) in [
        (Reference::for_prompt("answer_questoin"), "question", "answer_question"),
        (Reference::for_prompt("explore_database"), "table", "there is no argument"),
        (Reference::for_prompt("plan_change"), "goals", "goal"),
        (Reference::for_resource("postgresql://nowhere/{table}"), "table", "schema/{table}"),
        (Reference::for_resource("postgresql://schema/{table}"), "tables", "table"),
    ] {
        let request = CompleteRequestParams::new(reference, ArgumentInfo::new(name, "or"));
        let error = session.client.complete(request).await.unwrap_err();
        let ServiceError::McpError(error) = error else { panic!("{error}") };
        assert_eq!(error.code, ErrorCode::INVALID_PARAMS, "{name}");
        let told = serde_json::to_string(&error).unwrap();
        assert!(told.contains(words), "{name}: {told}");
    }
}
