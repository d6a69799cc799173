//! Completion from what the caller sees: names of tables where an argument is one; in sentences, the last word
//! as the name of a table or column, or the value of an enum.

use std::collections::BTreeSet;

use mcp_pg_core::policy::View;
use rmcp::model::{CompleteRequestParams, CompleteResult, CompletionInfo};

use crate::{prompts, resources};

/// What begins with what was typed, then what contains it.
pub(crate) fn complete(view: &View, request: &CompleteRequestParams) -> CompleteResult {
    let typed = &request.argument.value;
    let prompt = request.r#ref.as_prompt_name();
    let of_template = request.r#ref.as_resource_uri() == Some(resources::TEMPLATE);
    let mut values = match (prompt, &*request.argument.name) {
        (Some(prompts::CHECK_DATA_QUALITY), "table") => matching(tables(view), typed),
        (None, "table") if of_template => matching(tables(view), typed),
        (Some(prompts::ANSWER_QUESTION), "question") | (Some(prompts::PLAN_CHANGE), "goal") => {
            last_word(view, typed)
        }
        _ => return CompleteResult::default(),
    };
    let mut completion = CompletionInfo::default();
    completion.total = u32::try_from(values.len()).ok();
    completion.has_more = Some(values.len() > CompletionInfo::MAX_VALUES);
    values.truncate(CompletionInfo::MAX_VALUES);
    completion.values = values;
    CompleteResult::new(completion)
}

fn tables(view: &View) -> impl Iterator<Item = String> {
    view.tables().iter().map(|table| view.display(table))
}

fn matching(names: impl Iterator<Item = String>, typed: &str) -> Vec<String> {
    let typed = typed.to_lowercase();
    let place = |name: &String| name.to_lowercase().find(&typed);
    let mut found: Vec<(bool, String)> =
        names.filter_map(|name| place(&name).map(|place| (place > 0, name))).collect();
    found.sort_by_key(|(inside, _)| *inside);
    found.into_iter().map(|(_, name)| name).collect()
}

/// The sentence with its last word completed: tables first, then columns, then values of enums.
fn last_word(view: &View, typed: &str) -> Vec<String> {
    let start = typed
        .rfind(char::is_whitespace)
        .map_or(0, |space| space + typed[space..].chars().next().map_or(0, char::len_utf8));
    let (before, word) = typed.split_at(start);
    if word.is_empty() {
        return Vec::new();
    }
    let columns = || {
        let columns = view.tables().iter().flat_map(|table| &table.table.columns);
        columns.filter(|column| column.can_select)
    };
    let names: BTreeSet<&str> = columns().map(|column| column.name.as_str()).collect();
    let labels: BTreeSet<&str> = columns()
        .flat_map(|column| column.data_type.labels().unwrap_or_default())
        .map(String::as_str)
        .collect();
    let word = word.to_lowercase();
    let mut known = BTreeSet::new();
    tables(view)
        .chain(names.into_iter().map(str::to_owned))
        .chain(labels.into_iter().map(str::to_owned))
        .filter(|name| name.to_lowercase().starts_with(&word))
        .filter(|name| known.insert(name.clone()))
        .map(|name| format!("{before}{name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_come_first() {
        let names = ["film_actor", "actor", "Actor Info", "city"].map(str::to_owned);
        assert_eq!(matching(names.into_iter(), "ACT"), ["actor", "Actor Info", "film_actor"]);
    }
}
