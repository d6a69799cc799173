//! The tool list as one role sees it.
//!
//! Knows the request and reply types and the caller's [`View`]; not how a call is answered. A tool that
//! the role can use on no table is not in the list.

mod schema;

use std::sync::{Arc, LazyLock};

use mcp_pg_core::policy::{Action, Actions, View};
use mcp_pg_core::reply::{Committed, RowSet, TableList};
use mcp_pg_core::request::{
    Change, DescribeTable, Insert, ListTables, Select, Transaction, Update,
};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

/// Most bytes of the whole list, as JSON; models pay for each of them in every conversation.
const LIST_MOST: usize = 15_500;

/// Most table names that a schema spells out.
const NAMES_MOST: usize = 50;

/// A tool, before it is fitted to a role.
struct Entry {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    needs: Needs,
    effect: Effect,
    input: fn() -> JsonObject,
    output: fn() -> JsonObject,
}

/// What a role must be able to do on some table to have the tool.
enum Needs {
    /// Anything at all.
    Any,
    /// This.
    One(Action),
    /// Some write.
    Write,
}

/// What a call does to the data.
#[derive(Clone, Copy)]
enum Effect {
    /// Nothing.
    Reads,
    /// Adds, so that twice is twice.
    Adds,
    /// Overwrites or hides what was there.
    Overwrites,
    /// The same, and twice is as good as once.
    Sets,
}

const TABLE: [Entry; 9] = [
    Entry {
        name: "list_tables",
        title: "List tables",
        description: "The tables you may use, with kind, comment, estimated rows, primary key and allowed \
            actions. Start here. `search` finds words in names and comments.",
        needs: Needs::Any,
        effect: Effect::Reads,
        input: schema::input::<ListTables>,
        output: schema::output::<TableList>,
    },
    Entry {
        name: "describe_table",
        title: "Describe a table",
        description: "Columns with types, rules and operators, keys, and relations for `include`. Call it \
            before the first select or write on a table.",
        needs: Needs::Any,
        effect: Effect::Reads,
        input: schema::input::<DescribeTable>,
        output: description,
    },
    Entry {
        name: "select",
        title: "Read rows",
        description: "Rows of a table, with related rows. In `where` all members must hold; a value means \
            equals, null means is null, else {operator: value} with eq ne gt gte lt lte in not_in is_null \
            like ilike starts_with ends_with contains contained_by overlaps has_key matches imatches search \
            is_distinct_from; {\"path\": [\"a\", \"b\"], \"eq\": 1} looks into json; and/or/not combine. A \
            relation name conditions on related rows: to-one {\"customer\": {\"country\": \"FR\"}}, to-many \
            {\"orders\": {\"some\": {\u{2026}}}} (some, none, every). If `truncated`, repeat the call with \
            `cursor` = `next_cursor`.",
        needs: Needs::One(Action::Select),
        effect: Effect::Reads,
        input: schema::input::<Select>,
        output: || rows(&["columns", "text", "count"]),
    },
    Entry {
        name: "insert",
        title: "Add rows",
        description: "Adds one row or several, all or none. Leave out columns that have defaults. A value may be \
            {\"$now\": true} or {\"$literal\": any}.",
        needs: Needs::One(Action::Insert),
        effect: Effect::Adds,
        input: schema::input::<Insert>,
        output: || rows(&["dry_run", "before", "after"]),
    },
    Entry {
        name: "update",
        title: "Change rows",
        description: "Changes the rows that match `where`. If more than `max_rows` match, nothing is changed. Use \
            `dry_run` to see what would happen.",
        needs: Needs::One(Action::Update),
        effect: Effect::Overwrites,
        input: || with_condition(schema::input::<Update>()),
        output: || rows(&["dry_run", "before", "after"]),
    },
    Entry {
        name: "archive",
        title: "Archive rows",
        description: "Sets rows aside so that reads leave them out; restore brings them back. The way to \
            remove rows.",
        needs: Needs::One(Action::Archive),
        effect: Effect::Sets,
        input: || with_condition(schema::input::<Change>()),
        output: || rows(&["dry_run", "before", "after"]),
    },
    Entry {
        name: "restore",
        title: "Restore rows",
        description: "Brings archived rows back.",
        needs: Needs::One(Action::Restore),
        effect: Effect::Sets,
        input: || with_condition(schema::input::<Change>()),
        output: || rows(&["dry_run", "before", "after"]),
    },
    Entry {
        name: "delete",
        title: "Delete rows",
        description: "Removes rows for good. Prefer archive where the table has it.",
        needs: Needs::One(Action::Delete),
        effect: Effect::Sets,
        input: || with_condition(schema::input::<Change>()),
        output: || rows(&["dry_run", "before", "after"]),
    },
    Entry {
        name: "transaction",
        title: "Several operations, all or nothing",
        description: "Runs the operations in order in one transaction; any failure undoes all. Each takes \
            the arguments of the tool of its name; {\"$ref\": \"name.column\"} is a value from the row of an \
            earlier operation, by its `as` or its index.",
        needs: Needs::Write,
        effect: Effect::Overwrites,
        input: schema::input::<Transaction>,
        output: results,
    },
];

const WRITES: [Action; 5] =
    [Action::Insert, Action::Update, Action::Archive, Action::Restore, Action::Delete];

/// The tools with the schemas that all roles share; built once.
static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| TABLE.iter().map(Entry::tool).collect());

/// The names of the tools that `actions` allow, in the order of the list.
pub(crate) fn names(actions: Actions) -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(move |entry| entry.allowed(actions)).map(|entry| entry.name)
}

/// The list for one role: each call gives the same bytes while the view is the same.
pub(crate) fn list(view: &View) -> Vec<Tool> {
    let actions = view.actions();
    let mut tools: Vec<Tool> = TABLE
        .iter()
        .zip(TOOLS.iter())
        .filter(|(entry, _)| entry.allowed(actions))
        .map(|(_, tool)| tool.clone())
        .collect();
    if let Some(transaction) = tools.iter_mut().find(|tool| tool.name == "transaction") {
        transaction.input_schema = Arc::new(transaction_input(actions));
    }
    spell_out_tables(view, &mut tools);
    tools
}

/// Gives `table` an `enum` of the names that the tool can be used on, if the list stays small.
fn spell_out_tables(view: &View, tools: &mut [Tool]) {
    if view.tables().len() > NAMES_MOST {
        return;
    }
    let spelled: Vec<Option<Tool>> = tools
        .iter()
        .map(|tool| {
            let needs =
                TABLE.iter().find(|entry| entry.name == tool.name).map(|entry| &entry.needs);
            let names: Vec<Value> = view
                .tables()
                .iter()
                .filter(|table| match needs {
                    Some(Needs::One(action)) => table.actions().contains(*action),
                    _ => true,
                })
                .map(|table| view.display(table).into())
                .collect();
            let mut input = JsonObject::clone(&tool.input_schema);
            let table = input.get_mut("properties")?.get_mut("table")?.as_object_mut()?;
            table.insert("enum".into(), names.into());
            let mut tool = tool.clone();
            tool.input_schema = Arc::new(input);
            Some(tool)
        })
        .collect();
    let size: usize = tools
        .iter()
        .zip(&spelled)
        .map(|(tool, spelled)| bytes(spelled.as_ref().unwrap_or(tool)))
        .sum();
    if size <= LIST_MOST {
        for (tool, spelled) in tools.iter_mut().zip(spelled) {
            if let Some(spelled) = spelled {
                *tool = spelled;
            }
        }
    }
}

fn bytes(tool: &Tool) -> usize {
    // The comma between two tools counts.
    serde_json::to_string(tool).map_or(usize::MAX / 32, |text| text.len() + 1)
}

/// The arguments of `transaction`: an operation has those of the tools that the role has.
fn transaction_input(actions: Actions) -> JsonObject {
    let mut input = schema::input::<Transaction>();
    let Some(step) = input
        .get_mut("properties")
        .and_then(|properties| properties.get_mut("operations"))
        .and_then(|operations| operations.get_mut("items"))
        .and_then(Value::as_object_mut)
    else {
        return input;
    };
    let operations: Vec<Action> = actions.iter().collect();
    let mut arguments = Map::new();
    for entry in &TABLE {
        let Needs::One(action) = entry.needs else { continue };
        if !operations.contains(&action) {
            continue;
        }
        let mut of_tool = (entry.input)();
        let Some(Value::Object(properties)) = of_tool.remove("properties") else { continue };
        for (name, mut schema) in properties {
            if let Some(schema) = schema.as_object_mut() {
                // The tool of that name tells the rest.
                schema.retain(|key, _| matches!(key.as_str(), "type" | "items" | "anyOf"));
            }
            arguments.entry(name).or_insert(schema);
        }
    }
    // A page cannot be continued, nor a part be a dry run, inside a transaction.
    for argument in ["dry_run", "cursor"] {
        arguments.remove(argument);
    }
    if let Some(Value::Object(own)) = step.get_mut("properties") {
        own.insert("operation".into(), json!({"type": "string", "enum": operations}));
        for (name, schema) in arguments {
            own.entry(name).or_insert(schema);
        }
    }
    step.remove("description");
    step.insert("required".into(), json!(["operation", "table"]));
    step.insert("additionalProperties".into(), false.into());
    input
}

/// A write's condition may be absent for the parser, so that the engine can say why it must not be.
fn with_condition(mut input: JsonObject) -> JsonObject {
    input.insert(
        "required".into(),
        json!(input.get("required").and_then(Value::as_array).map_or_else(Vec::new, |names| {
            names.iter().cloned().chain([json!("where")]).collect()
        },)),
    );
    input
}

/// The shape of rows: what is always there, the rows themselves, and the tool's own members.
fn rows(own: &[&str]) -> JsonObject {
    let mut output = schema::output::<RowSet>();
    let required = output.get("required").cloned().unwrap_or_default();
    let listed = |name: &str| {
        name == "rows"
            || own.contains(&name)
            || required.as_array().is_some_and(|names| names.iter().any(|known| known == name))
    };
    if let Some(Value::Object(properties)) = output.get_mut("properties") {
        properties.retain(|name, _| listed(name));
    }
    output
}

/// The shape of a transaction's reply; each result has the shape of its operation's.
fn results() -> JsonObject {
    let mut output = schema::output::<Committed>();
    if let Some(results) = output.get_mut("properties").and_then(|all| all.get_mut("results")) {
        *results = json!({"type": "array", "items": {"type": "object"}});
    }
    output
}

/// The shape of `describe_table`'s reply: the members that are always there.
fn description() -> JsonObject {
    let list = |items: &str| json!({"type": "array", "items": {"type": items}});
    let schema = json!({
        "type": "object",
        "properties": {
            "table": {"type": "string"},
            "kind": {"type": "string"},
            "columns": list("object"),
            "primary_key": list("string"),
            "actions": list("string"),
        },
        "required": ["table", "kind", "columns", "primary_key", "actions"],
    });
    schema.as_object().cloned().unwrap_or_default()
}

impl Entry {
    fn allowed(&self, actions: Actions) -> bool {
        match self.needs {
            Needs::Any => !actions.is_empty(),
            Needs::One(action) => actions.contains(action),
            Needs::Write => WRITES.iter().any(|action| actions.contains(*action)),
        }
    }

    fn tool(&self) -> Tool {
        let annotations = ToolAnnotations::new().open_world(false);
        let annotations = match self.effect {
            Effect::Reads => annotations.read_only(true).destructive(false).idempotent(true),
            Effect::Adds => annotations.read_only(false).destructive(false).idempotent(false),
            Effect::Overwrites => annotations.read_only(false).destructive(true).idempotent(false),
            Effect::Sets => annotations.read_only(false).destructive(true).idempotent(true),
        };
        Tool::new(self.name, self.description, (self.input)())
            .with_title(self.title)
            .with_raw_output_schema(Arc::new((self.output)()))
            .with_annotations(annotations)
    }
}
