//! EXPLAIN, without the text of any condition: PostgreSQL's plan may contain columns, row conditions and policies
//! that the caller must not see.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::hint::{hints, unkeyed};
use super::indexable::{self, Tested};
use super::joined_lines;
use crate::engine::Engine;
use crate::engine::record::Record;
use crate::error::{Code, Error, Result};
use crate::execute::Fetched;
use crate::name::TableName;
use crate::plan::{Node, Scope, SelectPlan};
use crate::policy::{Action, TableView, View};
use crate::reply::Explanation;
use crate::request::{Explain, Explained, parse};
use crate::schema::TableKind;
use crate::statement;

/// The number of rows from which reading a whole table is worth a hint.
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
        let told = plan_of(&fetched)?;
        let root = &told[0]["Plan"];
        let tested = indexable::columns(&plan);
        let known = Known::of(scope.view, table, &tested, root);
        let mut text = String::new();
        let mut read_whole: Vec<(&TableView, bool)> = Vec::new();
        let tree = step(&known, root, 0, &mut text, &mut |node| {
            // An index scan without an index condition reads everything, too. A bitmap heap scan has its condition in
            // `Recheck Cond`.
            let sought = ["Index Cond", "Recheck Cond", "TID Cond"];
            let sought = sought.iter().any(|condition| node.get(condition).is_some());
            if node.get("Filter").is_some() && !sought {
                let part = known.itself(node).is_none();
                read_whole.extend(known.table(node).map(|table| (table, part)));
            }
        });
        let mut hints = hints(scope.view, tested, &read_whole);
        unkeyed(scope.view, Node::Select(&plan), &mut hints);
        Ok(Explanation {
            table: table.name().to_string(),
            estimated_rows: known.estimates.then(|| root["Plan Rows"].as_u64()).flatten(),
            estimated_cost: known.estimates.then(|| root["Total Cost"].as_f64()).flatten(),
            milliseconds: root["Actual Total Time"].as_f64(),
            text,
            plan: tree,
            hints,
        })
    }
}

/// PostgreSQL's plan, which is an answer of many lines.
fn plan_of(fetched: &[Fetched]) -> Result<Value> {
    if fetched.first().is_some_and(|fetched| fetched.too_large.is_some()) {
        return Err(Error::exceeded("max_reply_bytes", "the plan is too long for a reply")
            .hint("a condition on the partition key, for example, makes it shorter"));
    }
    let lines = fetched.first().map(joined_lines).unwrap_or_default();
    serde_json::from_str(&lines)
        .map_err(|error| Error::new(Code::Internal, "the plan cannot be read").caused_by(error))
}

/// What the role may see of PostgreSQL's plan.
struct Known<'v> {
    view: &'v View,
    /// The table of which partitions may be read. In a view, a similar name may belong to any table.
    partitioned: Option<&'v TableView>,
    /// Whether the planner's numbers are shown: only if the caller may see all rows that they are computed from.
    estimates: bool,
    /// Whether actual row counts are shown, too: not if a view is read, because the count of a node below the view's
    /// filter would reveal values that the view hides.
    open: bool,
}

impl<'v> Known<'v> {
    /// What the role may see of a plan with the root node `root`, for a read of `table` that compares the columns
    /// `tested`.
    fn of(view: &'v View, table: &'v TableView, tested: &[Tested<'v>], root: &Value) -> Self {
        let tables = || tested.iter().map(|tested| tested.table).chain([table]);
        let views = tables().any(|table| table.table.kind == TableKind::View);
        let partitioned = partitioned(tables()).filter(|_| !views);
        let known = Self { view, partitioned, estimates: false, open: false };
        let estimates = !view.is_ruled() && !known.reads_hidden(root);
        Self { estimates, open: estimates && !views, ..known }
    }

    /// The table that a node reads, or the partitioned table whose partition it reads.
    fn table(&self, node: &Value) -> Option<&'v TableView> {
        self.itself(node).or_else(|| self.partitioned.filter(|_| is_partition(node)))
    }

    /// The table that a node reads, unless it is a partition.
    fn itself(&self, node: &Value) -> Option<&'v TableView> {
        let named = |key: &str| node.get(key).and_then(Value::as_str);
        self.view.named(&TableName::new(named("Schema")?, named("Relation Name")?))
    }

    /// Whether any node reads a table that the role does not see, or sees only in part.
    fn reads_hidden(&self, node: &Value) -> bool {
        let seen = |table: &TableView| {
            !table.table.row_security.applies() && table.require(Action::Select).is_ok()
        };
        let inputs = node.get("Plans").and_then(Value::as_array);
        node.get("Relation Name").is_some() && !self.table(node).is_some_and(seen)
            || inputs.into_iter().flatten().any(|input| self.reads_hidden(input))
    }
}

/// Whether the node, whose table is unknown, reads a partition: its alias is that of the table, `t0`, with a number
/// if there are several.
fn is_partition(node: &Value) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let alias = node.get("Alias").and_then(Value::as_str).unwrap_or_default();
    alias.strip_prefix('t').is_some_and(|alias| alias.split('_').all(digits))
}

/// The only partitioned table among these. With several, the plan does not tell which one a partition belongs to.
fn partitioned<'v>(tables: impl Iterator<Item = &'v TableView>) -> Option<&'v TableView> {
    let mut partitioned = tables.filter(|table| table.table.kind == TableKind::PartitionedTable);
    let first = partitioned.next()?;
    partitioned.all(|other| other.name() == first.name()).then_some(first)
}

/// A node and its inputs, with only the names that the role may see.
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
        // Indexes of several tables may have the same name, and not every node has the table's.
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
