//! The tool list, as a role sees it.
//!
//! Knows the request and reply types, the caller's [`View`] and canned queries, but not how a call is answered. A
//! tool that the role can use on no table is left out.

mod canned;
mod entry;
mod kept;
mod schema;
mod shape;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::{Arc, LazyLock};

use mcp_pg_core::canned::Query;
use mcp_pg_core::policy::{Actions, TableView, View};
use rmcp::ErrorData;
use rmcp::model::{JsonObject, ListToolsResult, Tool};
use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Serializer, Value};

use crate::reply;
use entry::{Entry, Needs, TABLE};
use kept::Kept;

/// The most bytes of the built-in tools as JSON. Models pay for them in every conversation.
const LIST_MOST: usize = 16_200;

/// The most bytes of a page of the list. Pages include the database's own tools, and many clients read only the first
/// page.
const PAGE_MOST: usize = 64_000;

/// The most table names in a schema's `enum`.
const NAMES_MOST: usize = 50;

/// The tools with the schemas that all roles share; built once.
static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| TABLE.iter().map(Entry::tool).collect());

/// The names of the tools for which `actions` are sufficient, in the order of the list.
pub(crate) fn names(actions: Actions) -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(move |entry| entry.allowed(actions)).map(|entry| entry.name)
}

/// The tool without descriptions of arguments that an earlier tool of the list describes in the same words.
fn told_once(mut tool: Tool, told: &mut HashSet<(String, Value)>) -> Tool {
    let mut input = JsonObject::clone(&tool.input_schema);
    let arguments = input.get_mut("properties").and_then(Value::as_object_mut);
    for (name, argument) in arguments.into_iter().flatten() {
        let Some(argument) = argument.as_object_mut() else { continue };
        if let Some(description) = argument.get("description")
            && !told.insert((name.clone(), description.clone()))
        {
            argument.remove("description");
        }
    }
    tool.input_schema = Arc::new(input);
    tool
}

/// The tools of a role.
pub(crate) struct List {
    tools: Vec<Measured>,
    /// It changes whenever the list does.
    pub(crate) digest: u64,
}

/// A tool of a list, and its size.
struct Measured {
    tool: Tool,
    bytes: usize,
}

/// A table's name without and with its schema, and the possible actions.
type Named = ([String; 2], Actions);

/// The lists of all views that are in use.
static LISTS: Kept = Kept::new();

/// The list for a caller. `queries` are those of the view's role, from the same catalogue.
pub(crate) fn list(view: &Arc<View>, queries: &[Arc<Query>]) -> Arc<List> {
    LISTS.of(view, || List::of(listed(view, queries)))
}

/// The built-in tools, then the queries. Queries are described more briefly if otherwise not all would fit on one page.
fn listed(view: &View, queries: &[Arc<Query>]) -> Vec<Measured> {
    let tables = view.tables();
    // With more tables, none is listed.
    let tables = if tables.len() > NAMES_MOST { &[] } else { tables };
    let named =
        |table: &TableView| ([view.display(table), table.name().to_string()], table.actions);
    let tables: Vec<Named> = tables.iter().map(named).collect();
    let mut tools = fitted(view.actions(), &tables, LIST_MOST);
    let whole = queries.iter().map(|query| Measured::from(canned::tool(query, view)));
    let whole: Vec<Measured> = whole.collect();
    match sum(&tools) + sum(&whole) <= PAGE_MOST {
        true => tools.extend(whole),
        false => tools.extend(queries.iter().map(|query| canned::brief(query, view).into())),
    }
    tools
}

impl List {
    fn of(tools: Vec<Measured>) -> Self {
        let mut digest = DefaultHasher::new();
        let texts = tools.iter().map(|known| serde_json::to_string(&known.tool).ok());
        texts.for_each(|text| text.hash(&mut digest));
        Self { tools, digest: digest.finish() }
    }

    /// The page after `cursor`, which is the name of the last tool on the previous page.
    pub(crate) fn page(&self, cursor: Option<String>) -> Result<ListToolsResult, ErrorData> {
        let start = match &cursor {
            None => 0,
            Some(last) => {
                let last = self.tools.iter().position(|known| known.tool.name == **last);
                last.map(|last| last + 1).ok_or_else(reply::stale_cursor)?
            }
        };
        let rest = self.tools.get(start..).unwrap_or_default();
        let mut left = PAGE_MOST;
        let fitting = rest.iter().take_while(|tool| {
            let fits = tool.bytes <= left;
            left = left.saturating_sub(tool.bytes);
            fits
        });
        let count = fitting.count().max(1).min(rest.len());
        let more = rest.len() > count;
        let page: Vec<Tool> = rest.iter().take(count).map(|known| known.tool.clone()).collect();
        let last = page.last().filter(|_| more).map(|tool| tool.name.to_string());
        let mut result = ListToolsResult::with_all_items(page);
        result.next_cursor = last;
        Ok(result)
    }
}

/// The tools for which `actions` are sufficient. `tables` are listed as far as there is `room`: without their schema, and then with
/// it, too.
fn fitted(actions: Actions, tables: &[Named], room: usize) -> Vec<Measured> {
    let allowed = || TABLE.iter().zip(TOOLS.iter()).filter(|(entry, _)| entry.allowed(actions));
    let mut told = HashSet::new();
    let mut tools: Vec<Measured> = allowed()
        .map(|(entry, tool)| {
            let mut short = told_once(tool.clone(), &mut told);
            if let Needs::Write = entry.needs {
                let input = JsonObject::clone(&short.input_schema);
                short.input_schema = Arc::new(shape::transaction(input, actions));
            }
            Measured::from(short)
        })
        .collect();
    if tables.is_empty() {
        return tools;
    }
    let mut size = sum(&tools);
    for names in [short, both] {
        for ((entry, _), tool) in allowed().zip(&mut tools) {
            let Some(spelled) = spell_out(&tool.tool, &names(entry, tables)) else { continue };
            let spelled = Measured::from(spelled);
            let larger = size + spelled.bytes - tool.bytes;
            if larger <= room {
                size = larger;
                *tool = spelled;
            }
        }
    }
    tools
}

/// The names without schema of the tables that a tool can be used on.
fn short(entry: &Entry, tables: &[Named]) -> Vec<Value> {
    usable(entry, tables).map(|[short, _]| short.as_str().into()).collect()
}

/// These, and the names with their schema, as in replies.
fn both(entry: &Entry, tables: &[Named]) -> Vec<Value> {
    let mut names = short(entry, tables);
    let whole = usable(entry, tables).filter(|[short, whole]| short != whole);
    names.extend(whole.map(|[_, whole]| Value::from(whole.as_str())));
    names
}

fn usable<'t>(entry: &'t Entry, tables: &'t [Named]) -> impl Iterator<Item = &'t [String; 2]> {
    let usable = tables.iter().filter(|(_, actions)| match entry.needs {
        Needs::One(action) => actions.contains(action),
        Needs::Any | Needs::Write => true,
    });
    usable.map(|(names, _)| names)
}

/// The tool with an `enum` of these tables, if it has an argument `table`.
fn spell_out(tool: &Tool, names: &[Value]) -> Option<Tool> {
    let mut input = JsonObject::clone(&tool.input_schema);
    input
        .get_mut("properties")?
        .get_mut("table")?
        .as_object_mut()?
        .insert("enum".into(), names.into());
    let mut tool = tool.clone();
    tool.input_schema = Arc::new(input);
    Some(tool)
}

impl From<Tool> for Measured {
    fn from(tool: Tool) -> Self {
        Self { bytes: bytes(&tool), tool }
    }
}

fn sum(tools: &[Measured]) -> usize {
    tools.iter().map(|tool| tool.bytes).sum()
}

/// The size of the tool and a comma in bytes, in the longest common form of JSON: that of Python, in ASCII and with
/// spaces after commas and colons.
fn bytes(tool: &Tool) -> usize {
    let mut text = Vec::new();
    match tool.serialize(&mut Serializer::with_formatter(&mut text, Spaced)) {
        Ok(()) => text.len() + 2,
        Err(_) => usize::MAX / 32,
    }
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        text: &str,
    ) -> io::Result<()> {
        for unit in text.encode_utf16() {
            match u8::try_from(unit) {
                Ok(letter) if letter.is_ascii() => to.write_all(&[letter])?,
                _ => write!(to, "\\u{unit:04x}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mcp_pg_core::policy::Action;
    use serde_json::json;

    use super::*;

    fn fitted(actions: Actions, tables: &[Named]) -> Vec<Tool> {
        super::fitted(actions, tables, LIST_MOST).into_iter().map(|known| known.tool).collect()
    }

    fn all() -> Actions {
        Action::ALL.into_iter().collect()
    }

    fn named(name: &str, actions: Actions) -> Named {
        ([name.to_owned(), format!("public.{name}")], actions)
    }

    fn tables(count: usize, length: usize, actions: Actions) -> Vec<Named> {
        (0..count).map(|number| named(&format!("{number:t>length$}"), actions)).collect()
    }

    fn size(tools: &[Tool]) -> usize {
        tools.iter().map(bytes).sum()
    }

    #[test]
    fn the_list_is_small_however_many_tables_there_are() {
        for (count, length) in [(0, 1), (5, 10), (20, 12), (50, 63), (50, 127)] {
            let tools = fitted(all(), &tables(count, length, all()));
            assert!(size(&tools) <= LIST_MOST, "{count} tables: {} bytes", size(&tools));
        }
        let kept: Actions = Action::ALL.into_iter().filter(|a| *a != Action::Delete).collect();
        assert!(
            fitted(kept, &tables(20, 12, kept))[1].input_schema["properties"]["table"]
                .get("enum")
                .is_some()
        );
        // With the longest names, the list is that of a thousand tables: none is listed.
        assert_eq!(fitted(all(), &tables(50, 127, all())), fitted(all(), &[]));
    }

    #[test]
    fn a_role_has_the_tools_that_it_can_use() {
        let named = |actions: &[Action]| {
            let tools = fitted(actions.iter().copied().collect(), &[]);
            tools.iter().map(|tool| tool.name.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(named(&[]), "");
        assert_eq!(named(&[Action::Select]), "list_tables describe_table select aggregate explain");
        assert_eq!(named(&[Action::Insert]), "list_tables describe_table insert transaction");
        assert_eq!(
            named(&Action::ALL),
            "list_tables describe_table select aggregate insert update archive restore delete \
             transaction explain"
        );
    }

    #[test]
    fn a_tool_names_only_the_tables_that_it_works_on() {
        let read = [Action::Select].into_iter().collect();
        let tables = [named("film", all()), named("film_list", read)];
        let tools = fitted(all(), &tables);
        let names = |tool: &str| {
            let tool = tools.iter().find(|known| known.name == tool).unwrap();
            tool.input_schema["properties"]["table"]["enum"].clone()
        };
        let both = json!(["film", "film_list", "public.film", "public.film_list"]);
        assert_eq!(names("select"), both);
        // The earlier tools have taken the room for names with a schema.
        assert_eq!(names("update"), json!(["film"]));
        let listed =
            tools.iter().filter(|tool| tool.input_schema["properties"].get("table").is_some());
        assert!(listed.clone().all(|tool| names(&tool.name).is_array()), "{}", listed.count());
    }

    #[test]
    fn a_transaction_offers_what_the_role_may_do() {
        let tools = fitted([Action::Update].into_iter().collect(), &[]);
        let step = &tools[3].input_schema["properties"]["operations"]["items"];
        assert_eq!(step["properties"]["operation"]["enum"], json!(["update"]));
        assert_eq!(step["additionalProperties"], false);
        let arguments: Vec<&String> = step["properties"].as_object().unwrap().keys().collect();
        assert!(arguments.iter().any(|name| *name == "updates"));
        assert!(!arguments.iter().any(|name| *name == "data" || *name == "dry_run"));
    }

    #[test]
    fn an_operation_of_a_transaction_takes_all_that_its_tool_does() {
        let tools = fitted(all(), &[]);
        let named = |name: &str| tools.iter().find(|tool| tool.name == name).unwrap();
        let properties = |schema: &Value| schema["properties"].as_object().unwrap().clone();
        let transaction = &named("transaction").input_schema["properties"];
        let step = properties(&transaction["operations"]["items"]);
        for action in Action::ALL {
            let tool = Value::Object(JsonObject::clone(&named(action.as_str()).input_schema));
            for name in properties(&tool).keys().filter(|name| *name != "dry_run") {
                assert!(step.contains_key(name), "{action}: {name}");
            }
        }
    }

    #[test]
    fn schemas_are_strict_and_plain() {
        for tool in fitted(all(), &[]) {
            let input = &tool.input_schema;
            assert_eq!(input["type"], "object", "{}", tool.name);
            assert_eq!(input["additionalProperties"], false, "{}", tool.name);
            let output = tool.output_schema.as_ref().unwrap();
            assert_eq!(output["type"], "object", "{}", tool.name);
            for root in [input, output] {
                for key in ["oneOf", "anyOf", "allOf", "$schema", "$defs"] {
                    assert!(!root.contains_key(key), "{}: {key}", tool.name);
                }
            }
            let text = serde_json::to_string(&tool).unwrap();
            for noise in ["\"$ref\":\"#", "\"format\":\"uint", "oneOf", "\"const\""] {
                assert!(!text.contains(noise), "{}: {noise}", tool.name);
            }
            let annotations = tool.annotations.unwrap();
            assert!(annotations.read_only_hint.is_some());
            assert!(annotations.destructive_hint.is_some());
            assert!(annotations.idempotent_hint.is_some());
        }
    }

    /// Gemini's clients refuse a schema without a type, and a list without that of its items.
    #[test]
    fn each_argument_and_item_has_a_type() {
        fn typed(at: &str, schema: &Value) {
            let alternatives = schema["anyOf"].as_array();
            assert!(alternatives.is_some() || schema["type"].is_string(), "{at}: {schema}");
            assert!(schema["type"] != "array" || schema["items"].is_object(), "{at}: {schema}");
            alternatives.into_iter().flatten().for_each(|one| typed(at, one));
            schema.get("items").into_iter().for_each(|items| typed(at, items));
            for (name, of) in schema["properties"].as_object().into_iter().flatten() {
                typed(&format!("{at}.{name}"), of);
            }
        }
        for tool in fitted(all(), &[]) {
            typed(&tool.name, &Value::Object(JsonObject::clone(&tool.input_schema)));
        }
    }

    #[test]
    fn a_write_needs_a_condition() {
        for tool in fitted(all(), &[]) {
            if ["update", "archive", "restore", "delete"].contains(&&*tool.name) {
                let required = tool.input_schema["required"].as_array().unwrap();
                assert!(required.contains(&json!("where")), "{}", tool.name);
            }
        }
    }
}
