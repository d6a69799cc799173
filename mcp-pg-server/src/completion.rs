//! Completion of table names, where an argument is one.

use mcp_pg_core::policy::View;
use rmcp::model::{CompleteRequestParams, CompleteResult, CompletionInfo};

use crate::{prompts, resources};

/// The tables that begin with what was typed, then those that contain it.
pub(crate) fn complete(view: &View, request: &CompleteRequestParams) -> CompleteResult {
    let of_template = request.r#ref.as_resource_uri() == Some(resources::TEMPLATE);
    let of_prompt = request.r#ref.as_prompt_name() == Some(prompts::CHECK_DATA_QUALITY);
    if !(of_template || of_prompt) || request.argument.name != "table" {
        return CompleteResult::default();
    }
    let names = view.tables().iter().map(|table| view.display(table));
    let mut values = matching(names, &request.argument.value);
    let mut completion = CompletionInfo::default();
    completion.total = u32::try_from(values.len()).ok();
    completion.has_more = Some(values.len() > CompletionInfo::MAX_VALUES);
    values.truncate(CompletionInfo::MAX_VALUES);
    completion.values = values;
    CompleteResult::new(completion)
}

fn matching(names: impl Iterator<Item = String>, typed: &str) -> Vec<String> {
    let typed = typed.to_lowercase();
    let place = |name: &String| name.to_lowercase().find(&typed);
    let mut found: Vec<(bool, String)> =
        names.filter_map(|name| place(&name).map(|place| (place > 0, name))).collect();
    found.sort_by_key(|(inside, _)| *inside);
    found.into_iter().map(|(_, name)| name).collect()
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
