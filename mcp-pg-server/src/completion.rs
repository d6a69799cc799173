//! Completion of arguments, from what the caller sees: names of tables, and in sentences the last word as the name of
//! a table or column or as an enum value.

use std::collections::BTreeSet;

use mcp_pg_core::policy::View;
use mcp_pg_core::{Code, Error};
use rmcp::model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference};

use crate::{prompts, resources};

/// The maximum size of a sentence that is completed, in bytes: each completion repeats it.
const SENTENCE_MOST: usize = 4_096;

/// The names that begin with the typed text, then those that contain it.
///
/// # Errors
///
/// `unknown_argument` if there is no such prompt, template or argument.
pub(crate) fn complete(
    view: &View,
    request: &CompleteRequestParams,
) -> Result<CompleteResult, Error> {
    let typed = &request.argument.value;
    let arguments = arguments(&request.r#ref)?;
    let (before, mut values) = match &*request.argument.name {
        name if !arguments.iter().any(|known| known == name) => {
            let names = || arguments.iter().map(String::as_str);
            let error = Error::new(Code::UnknownArgument, format!("there is no argument {name:?}"));
            return Err(error.at("/argument/name").nearest(name, names()).allowed(names()));
        }
        // With a dot, the text may begin with the first schema, which is left out of the usual names.
        "table" if typed.contains('.') => ("", matching(whole_names(view), typed)),
        "table" => ("", matching(tables(view), typed)),
        _ => last_word(view, typed),
    };
    let mut completion = CompletionInfo::default();
    completion.total = u32::try_from(values.len()).ok();
    completion.has_more = Some(values.len() > CompletionInfo::MAX_VALUES);
    values.truncate(CompletionInfo::MAX_VALUES);
    completion.values = values.into_iter().map(|value| format!("{before}{value}")).collect();
    Ok(CompleteResult::new(completion))
}

/// The arguments of a prompt or template that can be completed.
fn arguments(of: &Reference) -> Result<Vec<String>, Error> {
    let unknown = |what: &str, given: &str, at: &str| {
        Error::new(Code::UnknownArgument, format!("there is no {what} {given:?}")).at(at)
    };
    match (of.as_prompt_name(), of.as_resource_uri()) {
        (Some(name), _) => {
            let prompts = prompts::list();
            let Some(prompt) = prompts.iter().find(|prompt| prompt.name == name) else {
                let names = || prompts.iter().map(|prompt| prompt.name.as_str());
                let error = unknown("prompt", name, "/ref/name");
                return Err(error.nearest(name, names()).allowed(names()));
            };
            let arguments = prompt.arguments.iter().flatten();
            Ok(arguments.map(|argument| argument.name.clone()).collect())
        }
        (None, Some(resources::TEMPLATE)) => Ok(vec!["table".to_owned()]),
        (None, uri) => {
            let error = unknown("resource template", uri.unwrap_or_default(), "/ref/uri");
            Err(error.allowed([resources::TEMPLATE]))
        }
    }
}

fn tables(view: &View) -> impl Iterator<Item = String> {
    view.tables().iter().map(|table| view.display(table))
}

fn whole_names(view: &View) -> impl Iterator<Item = String> {
    view.tables().iter().map(|table| table.name().to_string())
}

fn matching(names: impl Iterator<Item = String>, typed: &str) -> Vec<String> {
    let typed = typed.to_lowercase();
    let place = |name: &String| name.to_lowercase().find(&typed);
    let mut found: Vec<(bool, String)> =
        names.filter_map(|name| place(&name).map(|place| (place > 0, name))).collect();
    found.sort_by_key(|(inside, _)| *inside);
    found.into_iter().map(|(_, name)| name).collect()
}

/// The sentence without its last word, and completions of that: tables first, then columns, then enum values.
fn last_word<'t>(view: &View, typed: &'t str) -> (&'t str, Vec<String>) {
    let start = typed
        .rfind(char::is_whitespace)
        .map_or(0, |space| space + typed[space..].chars().next().map_or(0, char::len_utf8));
    let (before, word) = typed.split_at(start);
    if word.is_empty() || typed.len() > SENTENCE_MOST {
        return (before, Vec::new());
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
    let dotted =
        word.rsplit_once('.').and_then(|(table, _)| Some((table, view.table(table).ok()?)));
    let of_table = dotted.into_iter().flat_map(|(written, table)| {
        let columns = table.table.columns.iter().filter(|column| column.can_select);
        columns.map(move |column| format!("{written}.{}", column.name))
    });
    let whole_names = whole_names(view).filter(|_| word.contains('.'));
    let word = word.to_lowercase();
    let mut known = BTreeSet::new();
    let words = tables(view)
        .chain(names.into_iter().map(str::to_owned))
        .chain(labels.into_iter().map(str::to_owned))
        .chain(of_table)
        .chain(whole_names)
        .filter(|name| name.to_lowercase().starts_with(&word))
        .filter(|name| known.insert(name.clone()));
    (before, words.collect())
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
