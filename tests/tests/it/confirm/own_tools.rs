//! Confirmation of canned queries and functions.

use mcp_pg_tests::Database;
use rmcp::model::{CallToolResponse, ElicitationAction};
use serde_json::{Value, json};

use super::{Asking, RULES, User, reviews};
use crate::canned::directory;
use crate::program::{ERAS, Era, file, params};

/// The configuration with tools of people's own, and where they are.
fn own_tools(database: &Database) -> String {
    let queries = directory([
        ("remove_reviews.sql", "-- @writes\nDELETE FROM reviews WHERE review_id <= :most"),
        (
            "invite.sql",
            "-- @writes\n-- @confirm\nINSERT INTO users (name, email, country)\n             VALUES (:name, :name || '@example.org', 'FR')",
        ),
        (
            "add_user.sql",
            "-- @writes\nINSERT INTO users (name, email, country)\n             VALUES (:name, :name || '@example.com', 'FR')",
        ),
    ]);
    let text = format!(
        "{RULES}[queries]\ndirectory = {queries:?}\nfunctions = [\"api\"]\n[database]\nurl = {:?}\n",
        database.url
    );
    file(&text).to_str().unwrap().to_owned()
}

const FUNCTIONS: &str = "
    CREATE SCHEMA api;
    CREATE SEQUENCE api.tickets;
    CREATE FUNCTION api.next_ticket() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('api.tickets') $$;
    COMMENT ON FUNCTION api.next_ticket IS '@tool';
    CREATE FUNCTION api.greet() RETURNS text LANGUAGE sql AS $$ SELECT 'hello' $$;
    COMMENT ON FUNCTION api.greet IS E'@tool\n@additive';";

#[tokio::test]
async fn tools_of_people_s_own_are_confirmed_too() {
    use ElicitationAction::{Accept, Decline};
    for era in ERAS {
        let database = Database::shop().await;
        database.sql(FUNCTIONS).await;
        let user = User::will([Decline, Accept, Decline, Decline, Accept, Accept]);
        let session = Asking::open(&own_tools(&database), user.clone(), era).await;
        let remove = |most: i64| json!({"most": most, "max_rows": 9});

        let refused = session.call("remove_reviews", remove(2)).await;
        assert_eq!(refused["error"]["message"], "the user declined", "{era:?} {refused}");
        let asked = user.asked();
        assert!(asked[0].contains("Allow this: remove_reviews, which writes 2 rows?"), "{asked:?}");
        assert!(asked[0].contains("\"most\":2"), "{asked:?}");
        assert_eq!(reviews(&database).await, 14);
        assert_eq!(session.call("remove_reviews", remove(2)).await["row_count"], 2);
        assert_eq!(reviews(&database).await, 12);
        assert_eq!(user.asked().len(), 1);

        // What a function does may not be undone: it is asked about before it is done.
        session.call("next_ticket", json!({"dry_run": true})).await;
        session.call("next_ticket", json!({})).await;
        let taken = "SELECT is_called::text FROM api.tickets";
        assert_eq!(database.value(taken).await.as_deref(), Some("false"));
        let ticket = session.call("next_ticket", json!({})).await;
        assert_eq!(ticket["rows"], json!([{"next_ticket": 1}]), "{ticket}");
        assert_eq!(user.asked().len(), 3);

        // Its author asks for it, whatever the role's rules.
        let invited = session.call("invite", json!({"name": "ida"})).await;
        assert_eq!(invited["row_count"], 1, "{invited}");
        assert!(user.asked()[0].contains("invite, which writes 1 row?"));

        // What only adds is not among the things to be confirmed, a dry run and no rows are nothing.
        assert_eq!(session.call("add_user", json!({"name": "eve"})).await["row_count"], 1);
        assert_eq!(session.call("greet", json!({})).await["rows"], json!([{"greet": "hello"}]));
        assert_eq!(session.call("remove_reviews", remove(2)).await["row_count"], 0);
        let dry = json!({"most": 9, "max_rows": 9, "dry_run": true});
        assert_eq!(session.call("remove_reviews", dry).await["row_count"], 7);
        assert_eq!(user.asked(), [] as [&str; 0]);
    }
}

#[tokio::test]
async fn an_answer_about_a_tool_holds_for_its_arguments_and_rows() {
    let database = Database::shop().await;
    database.sql(FUNCTIONS).await;
    let session = Asking::open(&own_tools(&database), User::default(), Era::Discover).await;
    let send = async |tool: &str, arguments: Value, state: Option<String>| {
        let mut request = params(tool, arguments);
        request.input_responses = state
            .is_some()
            .then(|| [("confirm".to_owned(), json!({"action": "accept", "content": {}}))].into());
        request.request_state = state;
        match session.client.call_tool_once(request).await.unwrap() {
            CallToolResponse::InputRequired(question) => question.request_state,
            _ => None,
        }
    };
    let remove = |most: i64| json!({"most": most, "max_rows": 9});
    let first = send("remove_reviews", remove(2), None).await;
    let other = send("remove_reviews", remove(3), first).await;
    assert!(other.is_some(), "agreed to other arguments");
    let ticket = send("next_ticket", json!({}), other).await;
    assert!(ticket.is_some(), "agreed to another tool");
    let two = send("remove_reviews", remove(2), None).await;
    database.sql("DELETE FROM reviews WHERE review_id = 1").await;
    let one = send("remove_reviews", remove(2), two).await;
    assert!(one.is_some(), "agreed to another number of rows");
    assert_eq!(send("remove_reviews", remove(2), one).await, None);
    assert_eq!(reviews(&database).await, 12);
    assert_eq!(send("next_ticket", json!({}), ticket).await, None);
    assert_eq!(
        database.value("SELECT last_value::text FROM api.tickets").await.as_deref(),
        Some("1")
    );
}
