//! All tools: their texts, the rights that they require, and the types of their arguments and replies.

use std::sync::Arc;

use mcp_pg_core::policy::{Action, Actions};
use mcp_pg_core::request::{
    Aggregate, Change, Delete, DescribeTable, Insert, ListTables, Select, Transaction, Update,
};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};

use super::{schema, shape};

/// A tool, the same for all roles.
pub(super) struct Entry {
    pub(super) name: &'static str,
    title: &'static str,
    description: &'static str,
    pub(super) needs: Needs,
    effect: Effect,
    pub(super) input: fn() -> JsonObject,
    output: fn() -> JsonObject,
}

/// The action that a role must have on some table to have the tool.
pub(super) enum Needs {
    /// Any action.
    Any,
    /// This action.
    One(Action),
    /// Any write.
    Write,
}

/// The effect of a call on the data.
#[derive(Clone, Copy)]
enum Effect {
    /// It only reads.
    Reads,
    /// It adds data each time it is called.
    Adds,
    /// It overwrites or hides data.
    Overwrites,
    /// It overwrites or hides data, and repeating it has no further effect.
    Sets,
}

/// The tools, in the order of the list.
pub(super) const TABLE: [Entry; 11] = [
    Entry {
        name: "list_tables",
        title: "List tables",
        description: "The tables you may use, with kind, comment, rows, key and actions. Start here.",
        needs: Needs::Any,
        effect: Effect::Reads,
        input: schema::input::<ListTables>,
        output: shape::tables,
    },
    Entry {
        name: "describe_table",
        title: "Describe a table",
        description: "Columns with types, rules and operators, keys and relations. Call it \
            before you use a table.",
        needs: Needs::Any,
        effect: Effect::Reads,
        input: schema::input::<DescribeTable>,
        output: shape::description,
    },
    Entry {
        name: "select",
        title: "Read rows",
        description: "Rows of a table. In `where` all members must hold; a value means \
            equals, null is null, else {operator: value}: eq ne gt gte lt lte in not_in is_null \
            like ilike starts_with ends_with contains contained_by overlaps has_key matches imatches search \
            is_distinct_from; {\"path\": [\"a\", \"b\"], \"eq\": 1} looks into json; {\"gt\": {\"$column\": \"b\"}} \
            compares columns, {\"gte\": {\"$now\": \"-7 days\"}} (true: now) times; {\"compute\": \
            {\"subtract\": [\"a\", \"b\"], \"lt\": 5}} or {\"sum\": \"orders.total\", \"gt\": 9}; {\"born\": {\"part\": \"month\", \"eq\": 5}}; and/or/not combine. Related rows: to-one \
            {\"customer\": {\"country\": \"FR\"}}, to-many {\"orders\": {\"some\": {..}}} (some, none, every; or \
            {\"count\": {\"gte\": 3}}).",
        needs: Needs::One(Action::Select),
        effect: Effect::Reads,
        input: schema::input::<Select>,
        output: shape::rows,
    },
    Entry {
        name: "aggregate",
        title: "Totals",
        description: "Totals of rows or groups: count, \
            count_distinct, sum, avg, min, max, stddev, variance, median, percentile (with \"fraction\": 0.9), each with `where`. \
            Buckets: second minute hour day week month quarter year, with `time_zone`; a \
            part (also weekday, Monday 1) is a number. add, subtract, multiply, divide compute with columns within a \
            function, else with measures; times subtracted ({\"$now\": true} too) are days (or \"unit\": \"hours\").",
        needs: Needs::One(Action::Select),
        effect: Effect::Reads,
        input: schema::input::<Aggregate>,
        output: shape::rows,
    },
    Entry {
        name: "insert",
        title: "Add rows",
        description: "Adds rows, all or none. Leave out columns with defaults. A value may be \
            {\"$now\": true}, {\"$now\": \"7 days\"} or {\"$literal\": any}.",
        needs: Needs::One(Action::Insert),
        effect: Effect::Adds,
        input: schema::input::<Insert>,
        output: shape::written,
    },
    Entry {
        name: "update",
        title: "Change rows",
        description: "Changes rows that match `where`; none if more than `max_rows` do, or fewer than `min_rows` (default 0).",
        needs: Needs::One(Action::Update),
        effect: Effect::Overwrites,
        input: || shape::with_condition(schema::input::<Update>()),
        output: shape::written,
    },
    Entry {
        name: "archive",
        title: "Archive rows",
        description: "Archives rows, the usual way to remove them: reads omit them until \
            restored. Arguments as for update.",
        needs: Needs::One(Action::Archive),
        effect: Effect::Sets,
        input: || shape::with_condition(schema::input::<Change>()),
        output: shape::written,
    },
    Entry {
        name: "restore",
        title: "Restore rows",
        description: "Restores archived rows.",
        needs: Needs::One(Action::Restore),
        effect: Effect::Sets,
        input: || shape::with_condition(schema::input::<Change>()),
        output: shape::written,
    },
    Entry {
        name: "delete",
        title: "Delete rows",
        description: "Deletes rows for good; prefer archive.",
        needs: Needs::One(Action::Delete),
        effect: Effect::Sets,
        input: || shape::with_condition(schema::input::<Delete>()),
        output: shape::written,
    },
    Entry {
        name: "transaction",
        title: "Several operations",
        description: "Runs operations in order; any failure undoes all. Meeting no row is no failure, \
            unless `min_rows` is 1. Arguments are those of the tools; {\"$ref\": \"name.column\"} is a value from the row of an \
            earlier operation, by its `as` or index.",
        needs: Needs::Write,
        effect: Effect::Overwrites,
        input: schema::input::<Transaction>,
        output: shape::results,
    },
    Entry {
        name: "explain",
        title: "Explain a read",
        description: "How PostgreSQL would run a read: cost, indexes, hints.",
        needs: Needs::One(Action::Select),
        effect: Effect::Reads,
        input: shape::explain,
        output: shape::explanation,
    },
];

impl Entry {
    /// Whether a role with these actions has the tool.
    pub(super) fn allowed(&self, actions: Actions) -> bool {
        match self.needs {
            Needs::Any => !actions.is_empty(),
            Needs::One(action) => actions.contains(action),
            Needs::Write => !actions.without(Action::Select).is_empty(),
        }
    }

    /// The tool, the same for all roles.
    pub(super) fn tool(&self) -> Tool {
        let annotations = ToolAnnotations::new();
        let annotations = match self.effect {
            Effect::Reads => annotations.read_only(true).destructive(false).idempotent(true),
            Effect::Adds => annotations.read_only(false).destructive(false).idempotent(false),
            Effect::Overwrites => annotations.read_only(false).destructive(true).idempotent(false),
            Effect::Sets => annotations.read_only(false).destructive(true).idempotent(true),
        };
        Tool::new(self.name, self.description, (self.input)())
            .with_title(self.title)
            .with_raw_output_schema(Arc::new(shape::or_error((self.output)())))
            .with_annotations(annotations)
    }
}
