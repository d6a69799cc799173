//! Prompts, filled in with what the caller sees. They are short, however many tables there are.

mod overview;
mod tokens;

use std::sync::Arc;

use mcp_pg_core::canned::Query;
use mcp_pg_core::policy::{Action, View};
use mcp_pg_core::{Code, Error};
use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;

use self::tokens::tokens;

const EXPLORE_DATABASE: &str = "explore_database";
const ANSWER_QUESTION: &str = "answer_question";
const CHECK_DATA_QUALITY: &str = "check_data_quality";
const PLAN_CHANGE: &str = "plan_change";

/// The most tokens of table names in a prompt.
const NAMES_MOST: usize = 1_200;

/// All prompts, the same for every caller.
pub(crate) fn list() -> Vec<Prompt> {
    let argument = |name: &str, description: &str| {
        Some(vec![PromptArgument::new(name).with_description(description).with_required(true)])
    };
    vec![
        Prompt::new(EXPLORE_DATABASE, Some("An overview of what the database holds."), None)
            .with_title("Explore the database"),
        Prompt::new(
            ANSWER_QUESTION,
            Some("An answer from the data, with the rows that support it."),
            argument("question", "What you want to know."),
        )
        .with_title("Answer a question"),
        Prompt::new(
            CHECK_DATA_QUALITY,
            Some("A look for missing, contradictory and suspicious values in a table."),
            argument("table", "The table to check."),
        )
        .with_title("Check data quality"),
        Prompt::new(
            PLAN_CHANGE,
            Some("A plan for a change, tried as a dry run before anything is written."),
            argument("goal", "What should be different afterwards."),
        )
        .with_title("Plan a change"),
    ]
}

/// The prompt with this name, for this caller.
pub(crate) fn get(
    view: &View,
    queries: &[Arc<Query>],
    name: &str,
    arguments: &JsonObject,
) -> Result<GetPromptResult, Error> {
    let text = match name {
        EXPLORE_DATABASE => format!(
            "Give an overview of this database. {}\n\n{}\nDescribe the tables that matter most with describe_table, \
             look at a few rows of each, and report: what the data is about, the main tables and how they \
             relate, how much there is, and what stands out.",
            today(),
            overview::overview(view, queries)
        ),
        ANSWER_QUESTION => format!(
            "Answer this question from the database:\n\n{}\n\n{} {}\n\n{}Find the tables with list_tables and \
             describe_table, then select only the columns and rows that are needed; let the database filter, \
             sort and count. If a reply is truncated, go on with its cursor or narrow the conditions. Give \
             the answer with the rows that support it, and say what the data cannot tell.",
            argument(arguments, "question")?,
            tables(view),
            today(),
            overview::own_tools(queries)
        ),
        CHECK_DATA_QUALITY => {
            let given = argument(arguments, "table")?;
            let table = view.table(given).map_err(|error| error.inside("/table"))?;
            format!(
                "Check the quality of the data in the table {:?}. Call describe_table on it, then look for: \
                 missing values where they would be expected, values outside their plausible range, \
                 duplicates that no key forbids, rows that refer to nothing through a relation, \
                 contradictions between columns, text in several spellings. Use `count` and small limits. \
                 Report each finding with the condition that shows it and the number of rows. Change nothing. {}",
                view.display(table),
                today()
            )
        }
        PLAN_CHANGE => format!(
            "Plan this change to the database:\n\n{}\n\n{} {}\n\n{}{} Describe the tables concerned, select the rows \
             that would change, and write down the operations.{}",
            argument(arguments, "goal")?,
            tables(view),
            today(),
            overview::own_tools(queries),
            writes(view),
            trial(view)
        ),
        _ => {
            let prompts = list();
            let names = || prompts.iter().map(|prompt| prompt.name.as_str());
            let error = Error::new(Code::UnknownArgument, format!("there is no prompt {name:?}"));
            return Err(error.nearest(name, names()).allowed(names()));
        }
    };
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]))
}

fn argument<'a>(arguments: &'a JsonObject, name: &str) -> Result<&'a str, Error> {
    arguments
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| Error::new(Code::MissingValue, format!("the argument {name:?} is missing")))
}

/// The date, and the form of the current time: a model has no clock.
fn today() -> String {
    let date = jiff::Timestamp::now().strftime("%F");
    format!(
        "Today is {date} (UTC); conditions, arithmetic and writes take {{\"$now\": true}} for the present, and \
         {{\"$now\": \"-7 days\"}} for an offset from it."
    )
}

fn tables(view: &View) -> String {
    sentence(view.tables().iter().map(|table| view.display(table)))
}

/// The names of the tables, as many as fit.
fn sentence(mut all: impl Iterator<Item = String>) -> String {
    let mut names = String::new();
    let mut room = NAMES_MOST;
    for name in all.by_ref() {
        if !names.is_empty() {
            names.push_str(", ");
        }
        // Names are data. They are quoted, so that none can pass for a sentence of the prompt.
        let name = format!("{name:?}");
        names.push_str(&name);
        room = room.saturating_sub(tokens(&name));
        if room == 0 {
            break;
        }
    }
    match all.count() {
        0 if names.is_empty() => "It shows you no tables.".to_owned(),
        0 => format!("Its tables are {names}."),
        more => format!(
            "Its tables are {names} and {more} more (list_tables with `search` finds them)."
        ),
    }
}

fn writes(view: &View) -> String {
    let writes: Vec<&str> =
        view.actions().without(Action::Select).iter().map(Action::as_str).collect();
    if writes.is_empty() {
        "Your role can only read: say what someone with the right to write would have to do.".into()
    } else {
        format!("Your role can {} (list_tables says where).", writes.join(", "))
    }
}

/// Advice for a role that may write.
fn trial(view: &View) -> &'static str {
    if view.actions().without(Action::Select).is_empty() {
        ""
    } else {
        " Try them with `dry_run` (several as one transaction), with the `_version` of rows that an update is based on, show \
         the rows before and after, and ask before running them without it."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_tables_are_cut_and_counted() {
        let few = sentence(["film", "odd \"name\""].map(str::to_owned).into_iter());
        assert_eq!(few, "Its tables are \"film\", \"odd \\\"name\\\"\".");
        let many = sentence((0..1_000).map(|number| format!("{number:t>63}")));
        assert!(tokens(&many) < NAMES_MOST + 200, "{}", many.len());
        assert!(many.contains(" and 925 more"), "{many}");
    }
}
