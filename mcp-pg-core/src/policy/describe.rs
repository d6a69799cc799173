//! The description of a table for a role: the members of `describe_table`, in their order.

use serde_json::{Map, Value, json};

use super::{Action, TableView, View};
use crate::schema::{Column, DataType, ForeignKey, Identity, Kind, RelationKind, Table, TableKind};

/// How much of a description is given. What is left out has a mark, which says how to see it.
#[derive(Clone, Copy)]
struct Extent {
    /// Items of a list.
    list: usize,
    relations: usize,
    /// Labels of an enum, and bytes of them.
    labels: usize,
    labels_bytes: usize,
    /// Columns with all members; further ones have the most important ones alone.
    columns: usize,
    /// Bytes of all, of which the columns may have most; the other lists share what is left.
    bytes: usize,
    columns_bytes: usize,
    /// Where the rest is, or why it is not there.
    rest: &'static str,
}

const BRIEF: Extent = Extent {
    list: 100,
    relations: 50,
    labels: 1_000,
    labels_bytes: 12_000,
    columns: 200,
    bytes: 60_000,
    columns_bytes: 48_000,
    rest: "see the table's resource",
};
const WHOLE: Extent = Extent {
    list: usize::MAX,
    relations: usize::MAX,
    labels: usize::MAX,
    labels_bytes: usize::MAX,
    columns: usize::MAX,
    bytes: usize::MAX,
    columns_bytes: usize::MAX,
    rest: "limits.max_reply_bytes has no room for them",
};
const OTHER_LISTS: usize = 5;
/// The members of columns beyond the first ones.
const IMPORTANT: [&str; 9] = [
    "name",
    "type",
    "nullable",
    "default",
    "identity",
    "generated",
    "primary_key",
    "references",
    "writable",
];

impl Extent {
    /// All that has room in so many bytes, of a table with so many columns.
    fn within(bytes: usize, columns: usize) -> Self {
        let labels_bytes = (bytes / columns.max(1)).max(BRIEF.labels_bytes);
        Self { labels_bytes, bytes, columns_bytes: bytes / 5 * 4, ..WHOLE }
    }
}

impl View {
    /// What a role may know of a table; empty members are left out, except `estimated_rows`, `columns`, `primary_key` and
    /// `actions`.
    /// Long lists are cut, with a mark.
    pub fn describe(&self, view: &TableView) -> Map<String, Value> {
        self.description(view, BRIEF)
    }

    /// The same with whole lists, however long they are.
    pub fn describe_whole(&self, view: &TableView) -> Map<String, Value> {
        self.description(view, WHOLE)
    }

    /// The same with lists as long as a reply of the role may be.
    pub fn describe_within_reply(&self, view: &TableView) -> Map<String, Value> {
        let (bytes, columns) = (self.limits.max_reply_bytes, view.table.columns.len());
        self.description(view, Extent::within(bytes, columns))
    }

    fn description(&self, view: &TableView, extent: Extent) -> Map<String, Value> {
        let table = &view.table;
        let mut out = Map::new();
        out.insert("table".into(), json!(self.display(view)));
        out.insert("kind".into(), json!(table.kind));
        put(&mut out, "comment", json!(table.comment));
        out.insert("estimated_rows".into(), json!(table.estimated_rows));
        let columns = self.columns(view, extent);
        let room = extent.bytes.saturating_sub(size(&columns)) / OTHER_LISTS;
        out.insert("columns".into(), columns);
        let primary_key = table.primary_key.as_ref().map(|key| names(table, &key.columns));
        out.insert("primary_key".into(), json!(primary_key.unwrap_or_default()));
        put(&mut out, "unique_keys", cut(unique_keys(table), extent.list, room, extent.rest));
        put(
            &mut out,
            "foreign_keys",
            cut(self.foreign_keys(table), extent.list, room, extent.rest),
        );
        let how = "see describe_table of the other table";
        put(&mut out, "relations", cut(self.relations(view), extent.relations, room, how));
        put(&mut out, "checks", cut(checks(table), extent.list, room, extent.rest));
        put(&mut out, "indexes", cut(indexes(table), extent.list, room, extent.rest));
        if view.actions.contains(Action::Archive) || view.actions.contains(Action::Select) {
            put(&mut out, "archive_column", json!(visible(view, view.archive.as_ref())));
            put(&mut out, "version_column", json!(visible(view, view.version.as_ref())));
        }
        put(&mut out, "row_security", row_security(view));
        out.insert("actions".into(), json!(view.actions.iter().collect::<Vec<_>>()));
        out
    }

    fn foreign_keys(&self, table: &Table) -> Vec<Value> {
        let keys = table.foreign_keys.iter().filter_map(|key| {
            let (other, columns) = self.referenced(key)?;
            let mut member = Map::new();
            member.insert("name".into(), json!(key.name));
            member.insert("columns".into(), json!(names(table, &key.columns)));
            member.insert("table".into(), json!(other));
            member.insert("references".into(), json!(columns));
            put(&mut member, "comment", json!(key.comment));
            Some(Value::Object(member))
        });
        keys.collect()
    }

    fn relations(&self, view: &TableView) -> Vec<Value> {
        let relations = view.relations.iter().filter_map(|relation| {
            let other = self.at(relation.table)?;
            let columns: Vec<usize> = relation.columns.iter().map(|(ours, _)| *ours).collect();
            let mut member = Map::new();
            member.insert("name".into(), json!(view.relation_name(relation)));
            member.insert("kind".into(), json!(relation.kind));
            member.insert("table".into(), json!(self.display(other)));
            member.insert("columns".into(), json!(names(&view.table, &columns)));
            let theirs = |column: &usize| relation.columns.iter().any(|(_, its)| its == column);
            let single = relation.kind == RelationKind::ToMany
                && other.table.row_keys().any(|key| key.columns.iter().all(theirs));
            put(&mut member, "at_most", json!(single.then_some(1)));
            Some(Value::Object(member))
        });
        relations.collect()
    }

    /// The columns; in a table of very many, the later ones with their most important members alone.
    fn columns(&self, view: &TableView, extent: Extent) -> Value {
        let positions = 0..view.table.columns.len();
        let mut columns: Vec<Value> =
            positions.map(|position| self.column(view, position, extent)).collect();
        let brief: Vec<Value> = columns.iter().map(important).collect();
        let mut spent: usize = brief.iter().map(size).sum();
        let mut shortened = 0;
        for (position, (column, brief)) in columns.iter_mut().zip(brief).enumerate() {
            let more = size(column).saturating_sub(size(&brief));
            if position >= extent.columns || spent + more > extent.columns_bytes {
                *column = brief;
                shortened += 1;
            } else {
                spent += more;
            }
        }
        let columns = cut(columns, usize::MAX, extent.columns_bytes, extent.rest);
        match columns {
            Value::Array(mut columns) if shortened > 0 && columns.iter().all(Value::is_object) => {
                let mark = format!("… {shortened} without operators and comments; {}", extent.rest);
                columns.push(Value::String(mark));
                Value::Array(columns)
            }
            columns => columns,
        }
    }

    fn column(&self, view: &TableView, position: usize, extent: Extent) -> Value {
        let table = &view.table;
        let column = &table.columns[position];
        let mut out = Map::new();
        out.insert("name".into(), json!(column.name));
        out.insert("type".into(), json!(column.type_name));
        out.insert("nullable".into(), json!(column.nullable));
        put(
            &mut out,
            "default",
            json!(column.default.as_ref().filter(|_| !column.default_refused)),
        );
        let identity = column.identity.map(|identity| match identity {
            Identity::Always => "always",
            Identity::ByDefault => "by_default",
        });
        put(&mut out, "identity", json!(identity));
        put(&mut out, "generated", json!(column.generated));
        put(&mut out, "comment", json!(column.comment));
        put(&mut out, "unit", json!(column.hints.unit));
        put(&mut out, "examples", json!(column.hints.examples));
        put_values(&mut out, &column.data_type, extent);
        let is_read = column.can_select && view.mask(position).is_none();
        if is_read || column.can_insert || column.can_update {
            put(&mut out, "fields", json!(fields(&column.data_type, extent)));
        }
        let own = table.checks.iter().filter(|check| check.columns == [position]);
        let checks: Vec<&str> = own.map(|check| check.definition.as_str()).collect();
        put(&mut out, "checks", json!(checks));
        let in_key = table.primary_key.as_ref().is_some_and(|key| key.columns.contains(&position));
        put(&mut out, "primary_key", json!(in_key.then_some(true)));
        let references = table.foreign_keys.iter().find_map(|key| {
            let index = key.columns.iter().position(|column| *column == position)?;
            let (table, columns) = self.referenced(key)?;
            Some(json!({"table": table, "column": columns.get(index)?}))
        });
        put(&mut out, "references", json!(references));
        let marks = view.marks(position);
        put(&mut out, "sensitive", json!(marks.sensitive.then_some(true)));
        put(&mut out, "untrusted", json!(marks.untrusted.then_some(true)));
        put_uses(&mut out, view, position);
        Value::Object(out)
    }

    /// The table and columns that a foreign key leads to, if the role may see them.
    fn referenced<'a>(&self, key: &'a ForeignKey) -> Option<(String, Vec<&'a str>)> {
        let table = self.named(&key.table)?;
        let seen = |name: &String| table.column(name).is_some();
        key.references
            .iter()
            .all(seen)
            .then(|| (self.display(table), key.references.iter().map(String::as_str).collect()))
    }
}

/// The fields of a composite type, or of the items of an array of such.
fn fields(data_type: &DataType, extent: Extent) -> Vec<Value> {
    let Kind::Composite(fields) = &data_type.item().base().kind else { return Vec::new() };
    let described = fields.iter().map(|field| {
        let mut member = Map::new();
        member.insert("name".into(), json!(field.name));
        member.insert("type".into(), json!(field.type_name));
        put_values(&mut member, &field.data_type, extent);
        put(&mut member, "fields", json!(self::fields(&field.data_type, extent)));
        Value::Object(member)
    });
    described.collect()
}

/// The labels of an enum, or of the items of an array of such; of a domain, what it is made from and its rules.
fn put_values(out: &mut Map<String, Value>, data_type: &DataType, extent: Extent) {
    if let Some(labels) = data_type.item().labels() {
        let labels = labels.iter().map(|label| json!(label)).collect();
        let how = "see those in use: select with distinct";
        put(out, "enum", cut(labels, extent.labels, extent.labels_bytes, how));
    }
    if let Kind::Domain { base_name, .. } = &data_type.kind {
        let mut domain = Map::new();
        domain.insert("name".into(), json!(data_type.name));
        domain.insert("base".into(), json!(base_name));
        put(&mut domain, "checks", json!(data_type.rules()));
        out.insert("domain".into(), Value::Object(domain));
    }
}

/// What the role may do with a column, and how its values are shown.
fn put_uses(out: &mut Map<String, Value>, view: &TableView, position: usize) {
    let column = &view.table.columns[position];
    let mask = view.mask(position);
    out.insert("writable".into(), json!(column.can_insert || column.can_update));
    if !column.can_select {
        out.insert("readable".into(), json!(false));
    } else if let Some(sealed) = view.sealed(&column.name).filter(|_| mask.is_none()) {
        out.insert("encrypted".into(), json!(true));
        let equality = sealed.index().map(|_| ["eq", "in", "is_null"]);
        put(out, "operators", json!(equality));
    } else if let Some(mask) = mask {
        out.insert("masked".into(), json!(mask));
    } else {
        let keys: Vec<&str> = column.data_type.condition_keys().collect();
        out.insert("operators".into(), json!(keys));
    }
}

fn names<'t>(table: &'t Table, positions: &[usize]) -> Vec<&'t str> {
    positions.iter().map(|position| table.columns[*position].name.as_str()).collect()
}

fn unique_keys(table: &Table) -> Vec<Value> {
    let shows_keys = matches!(table.kind, TableKind::View | TableKind::MaterializedView);
    let keys = table.unique_keys.iter().map(|key| {
        let mut member = Map::new();
        // The name of a key of the table beneath a view would tell of that.
        if !shows_keys || table.indexes.iter().any(|index| index.name == key.name) {
            member.insert("name".into(), json!(key.name));
        }
        member.insert("columns".into(), json!(names(table, &key.columns)));
        put(&mut member, "comment", json!(key.comment));
        Value::Object(member)
    });
    keys.collect()
}

fn checks(table: &Table) -> Vec<Value> {
    let checks = table.checks.iter().map(|check| {
        let mut member = Map::new();
        member.insert("name".into(), json!(check.name));
        member.insert("definition".into(), json!(check.definition));
        put(&mut member, "comment", json!(check.comment));
        Value::Object(member)
    });
    checks.collect()
}

fn indexes(table: &Table) -> Vec<Value> {
    let indexes = table.indexes.iter().map(|index| {
        let mut member = Map::new();
        member.insert("name".into(), json!(index.name));
        member.insert("parts".into(), json!(index.parts));
        member.insert("method".into(), json!(index.method));
        member.insert("unique".into(), json!(index.unique));
        put(&mut member, "predicate", json!(index.predicate));
        put(&mut member, "exclusion", json!(index.exclusion));
        Value::Object(member)
    });
    indexes.collect()
}

fn visible<'a>(view: &TableView, column: Option<&'a Column>) -> Option<&'a str> {
    let name = column?.name.as_str();
    view.column(name).is_some().then_some(name)
}

/// Whether the database or the role's own grants hide rows: which actions are about some rows alone, and not which rows.
fn row_security(view: &TableView) -> Value {
    let security = &view.table.row_security;
    let mut out = Map::new();
    if security.enabled {
        out.insert("enabled".into(), json!(true));
        out.insert("forced".into(), json!(security.forced));
        out.insert("applies".into(), json!(!security.bypassed));
    }
    let limited = view.actions.iter().filter(|action| view.row_rule(*action).is_some());
    put(&mut out, "some_rows_only", json!(limited.collect::<Vec<_>>()));
    if out.is_empty() { Value::Null } else { Value::Object(out) }
}

/// Adds a member unless it is empty.
fn put(out: &mut Map<String, Value>, name: &str, value: Value) {
    let empty = match &value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    if !empty {
        out.insert(name.into(), value);
    }
}

/// A column's most important members.
fn important(column: &Value) -> Value {
    let members = column.as_object().into_iter().flatten();
    let kept = members.filter(|(name, _)| IMPORTANT.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The list, or as much of its beginning as fits and a mark that says how many more there are.
fn cut(mut items: Vec<Value>, most: usize, bytes: usize, how: &str) -> Value {
    let mut spent = 0;
    let fitting = items.iter().take(most).take_while(|item| {
        spent += size(item);
        spent <= bytes
    });
    let fitting = fitting.count();
    let more = items.len() - fitting;
    if more > 0 {
        items.truncate(fitting);
        items.push(Value::String(format!("… {more} more; {how}")));
    }
    Value::Array(items)
}

/// Bytes of a member as JSON, and of the comma behind it.
fn size(value: &Value) -> usize {
    value.to_string().len() + 1
}
