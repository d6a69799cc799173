//! How PostgreSQL would run a read, without the text of any condition: a plan may name columns, row
//! conditions and policies that the caller must not know.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::hint::hints;
use super::indexable::{self, Tested};
use super::joined_lines;
use crate::engine::Engine;
use crate::engine::record::Record;
use crate::error::{Code, Error, Result};
use crate::name::TableName;
use crate::plan::{Scope, SelectPlan};
use crate::policy::{Action, TableView, View};
use crate::reply::Explanation;
use crate::request::{Explain, Explained, parse};
use crate::schema::TableKind;
use crate::statement;

/// Rows from which on reading a whole table is worth a hint.
pub(super) const MANY: f64 = 1_000.0;

impl Engine {
    pub(in crate::engine) async fn explain(
        &self,
        scope: &Scope<'_>,
        request: &Explain,
        record: &mut Record<'_>,
    ) -> Result<Explanation> {
        if request.analyze == Some(true) && !scope.view.role.analyze {
            return Err(Error::new(
                Code::Forbidden,
                "the caller's role may not run what it explains",
            )
            .at("/analyze")
            .hint("without analyze, explain shows the planner's estimates"));
        }
        let arguments = request.arguments.clone();
        let derived = OnceLock::new();
        let (select, aggregate);
        let plan = match request.operation {
            Explained::Select => {
                select = parse(arguments)?;
                SelectPlan::new(scope, &select, &self.cursors, &derived)?
            }
            Explained::Aggregate => {
                aggregate = parse(arguments)?;
                SelectPlan::aggregate(scope, &aggregate, &self.cursors, &derived)?
            }
        };
        let (table, _) = plan.source();
        let explain = statement::explain(&plan, request.analyze.unwrap_or_default());
        let fetched = self.fetch(scope, &plan, &[&explain], record).await?;
        let lines = fetched.first().map(joined_lines).unwrap_or_default();
        let told: Value = serde_json::from_str(&lines).map_err(|error| {
            Error::new(Code::Internal, "the plan cannot be read").caused_by(error)
        })?;
        let root = &told[0]["Plan"];
        let tested = indexable::columns(&plan);
        let known = Known::of(scope.view, table, &tested, root);
        let mut text = String::new();
        let mut read_whole: Vec<(&TableView, bool)> = Vec::new();
        let tree = step(&known, root, 0, &mut text, &mut |node| {
            // A scan of an index without a condition on it reads everything, too; what a bitmap tells is found by one.
            let sought = ["Index Cond", "Recheck Cond", "TID Cond"];
            let sought = sought.iter().any(|condition| node.get(condition).is_some());
            if node.get("Filter").is_some() && !sought {
                let part = known.itself(node).is_none();
                read_whole.extend(known.table(node).map(|table| (table, part)));
            }
        });
        Ok(Explanation {
            table: table.name().to_string(),
            estimated_rows: known.estimates.then(|| root["Plan Rows"].as_u64()).flatten(),
            estimated_cost: known.estimates.then(|| root["Total Cost"].as_f64()).flatten(),
            milliseconds: root["Actual Total Time"].as_f64(),
            text,
            plan: tree,
            hints: hints(scope.view, tested, &read_whole),
        })
    }
}

/// The tables that a plan may name.
struct Known<'v> {
    view: &'v View,
    /// The table whose partitions a plan may read. Within a view, what looks like one may be anything.
    partitioned: Option<&'v TableView>,
    /// Whether the planner's numbers are told: they are made from all rows that the plan reads, all of which the caller
    /// may see then.
    estimates: bool,
    /// Whether no view leaves out rows either: how many a step had, before another one left some out, would else tell of
    /// values that the view hides.
    open: bool,
}

impl<'v> Known<'v> {
    /// What the role may know of a plan that begins at `root`, for a read of the table that compares these columns.
    fn of(view: &'v View, table: &'v TableView, tested: &[Tested<'v>], root: &Value) -> Self {
        let tables = || tested.iter().map(|tested| tested.table).chain([table]);
        let views = tables().any(|table| table.table.kind == TableKind::View);
        let partitioned = partitioned(tables()).filter(|_| !views);
        let known = Self { view, partitioned, estimates: false, open: false };
        let estimates = !view.is_ruled() && !known.reads_hidden(root);
        Self { estimates, open: estimates && !views, ..known }
    }

    /// The table that a step reads; of a partition, the table that it is part of.
    fn table(&self, node: &Value) -> Option<&'v TableView> {
        self.itself(node).or_else(|| self.partitioned.filter(|_| is_partition(node)))
    }

    /// The table that a step reads, if it is one by itself.
    fn itself(&self, node: &Value) -> Option<&'v TableView> {
        let named = |key: &str| node.get(key).and_then(Value::as_str);
        self.view.named(&TableName::new(named("Schema")?, named("Relation Name")?))
    }

    /// Whether a step of the plan reads a table that the role does not see, or not all rows of.
    fn reads_hidden(&self, node: &Value) -> bool {
        let seen = |table: &TableView| {
            !table.table.row_security.applies() && table.require(Action::Select).is_ok()
        };
        let inputs = node.get("Plans").and_then(Value::as_array);
        node.get("Relation Name").is_some() && !self.table(node).is_some_and(seen)
            || inputs.into_iter().flatten().any(|input| self.reads_hidden(input))
    }
}

/// Whether a step that reads no table by itself reads a partition: PostgreSQL gives each the alias of its table, `t0`, and a
/// number where it reads several.
fn is_partition(node: &Value) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let alias = node.get("Alias").and_then(Value::as_str).unwrap_or_default();
    alias.strip_prefix('t').is_some_and(|alias| alias.split('_').all(digits))
}

/// The partitioned one of the tables, unless there are several: a plan does not tell whose a partition is.
fn partitioned<'v>(tables: impl Iterator<Item = &'v TableView>) -> Option<&'v TableView> {
    let mut partitioned = tables.filter(|table| table.table.kind == TableKind::PartitionedTable);
    let first = partitioned.next()?;
    partitioned.all(|other| other.name() == first.name()).then_some(first)
}

/// A step of the plan and what feeds it, with only the names that the role may know.
fn step(
    known: &Known<'_>,
    node: &Value,
    depth: usize,
    text: &mut String,
    seen: &mut impl FnMut(&Value),
) -> Value {
    seen(node);
    let named = |key: &str| node.get(key).and_then(Value::as_str);
    let (view, table) = (known.view, known.table(node));
    let index = named("Index Name").filter(|name| {
        let has = |table: &TableView| table.table.indexes.iter().any(|i| i.name == *name);
        // Indexes of several tables may share a name; of which one this is, not every step tells.
        match named("Relation Name") {
            Some(_) => table.is_some_and(has),
            None => view.tables().iter().any(has),
        }
    });
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            out.insert(name.to_owned(), value);
        }
    };
    put("step", json!(named("Node Type")));
    put("table", json!(table.map(|table| view.display(table))));
    put("index", json!(index));
    if known.estimates {
        put("rows", json!(node["Plan Rows"].as_number()));
        put("cost", json!(node["Total Cost"].as_f64()));
    }
    let actual = known.open || depth == 0;
    if actual {
        put("actual_rows", json!(node["Actual Rows"].as_number()));
        put("milliseconds", json!(node["Actual Total Time"].as_f64()));
    }

    let on = table.map(|table| format!(" on {}", view.display(table))).unwrap_or_default();
    let using = index.map(|index| format!(" using {index}")).unwrap_or_default();
    text.push_str(&format!(
        "{:indent$}{}{on}{using}",
        "",
        named("Node Type").unwrap_or("?"),
        indent = depth * 2,
    ));
    if known.estimates {
        text.push_str(&format!(" (rows {}, cost {})", node["Plan Rows"], node["Total Cost"]));
    }
    if actual && node.get("Actual Rows").is_some() {
        text.push_str(&format!(" (actual rows {})", node["Actual Rows"]));
    }
    text.push('\n');
    if let Some(inputs) = node.get("Plans").and_then(Value::as_array) {
        let inputs = inputs.iter().map(|input| step(known, input, depth + 1, text, seen));
        let inputs: Vec<Value> = inputs.collect();
        out.insert("inputs".to_owned(), Value::Array(inputs));
    }
    Value::Object(out)
}
