//! Notes on views that reveal more than the tables beneath them, which may be intended.

use std::collections::HashSet;

use mcp_pg_core::policy::{Action, Role, Settings, TableView, View};
use mcp_pg_core::schema::{Column, ColumnOrigin, Schema, TableKind};
use mcp_pg_core::{Engine, Posture, Principal};

/// The notes on the views that roles read; `leaky` are those that leave rows out without being a fence.
pub(super) fn of_views(settings: &Settings, schema: &Schema, leaky: &[String]) -> Vec<String> {
    let whole = View::everything(schema, settings);
    let mut notes = Vec::new();
    for role in &settings.roles {
        let view = View::new(schema, role, settings);
        for table in view.tables().iter().filter(|table| is_read_view(table)) {
            notes.extend(unfenced(&view, table, leaky));
            notes.extend(unmarked(settings, &whole, table));
            notes.extend(unhidden(role, &view, &whole, table));
        }
    }
    let mut told = HashSet::new();
    notes.retain(|note| told.insert(note.clone()));
    notes
}

/// The notes on views that roles read, as their database roles see them, and that the policies beneath do not bind; and on
/// tables that inherit from one whose rules do not hold for them.
pub(super) fn unbound(engine: &Engine, settings: &Settings, posture: &Posture) -> Vec<String> {
    let views = settings.roles.iter().filter_map(|role| {
        let caller = Principal::new("check", &role.name);
        engine.view(&caller).ok()
    });
    let views: Vec<_> = views.collect();
    let read = |name: &str| {
        let mut tables = views.iter().flat_map(|view| view.tables());
        tables.find(|table| reads(table) && table.name().to_string() == name)
    };
    let told = posture.unbound_views.iter().filter_map(|name| {
        let remedy = match read(name)?.table.kind {
            TableKind::MaterializedView => "leave it out of the grants",
            _ => "run ALTER VIEW … SET (security_invoker), and have it read no materialized view, partition or child table",
        };
        Some(format!(
            "the view {name} bypasses the row-level security of the tables beneath it, which binds neither the owner that \
             the view reads as nor partitions and child tables. If that is not intended, {remedy}"
        ))
    });
    let heirs = posture.open_heirs.iter().filter(|(name, _)| read(name).is_some());
    let heirs = heirs.map(|(name, parent)| {
        format!(
            "{name} inherits from {parent}, whose row-level security does not apply when {name} itself is read: run ALTER \
             TABLE … ENABLE ROW LEVEL SECURITY and give it policies, or leave it out of the grants"
        )
    });
    told.chain(heirs).collect()
}

fn is_read_view(table: &TableView) -> bool {
    matches!(table.table.kind, TableKind::View | TableKind::MaterializedView)
        && table.actions.contains(Action::Select)
}

/// The columns that the role reads, with those of tables that they show.
fn shown(table: &TableView) -> impl Iterator<Item = (usize, &Column, &ColumnOrigin)> {
    table.readable_columns().filter_map(|position| {
        let column = &table.table.columns[position];
        Some((position, column, column.origin.as_ref()?))
    })
}

/// A view that keeps rows from the role, which could tell of them by conditions that fail on them.
fn unfenced(view: &View, table: &TableView, leaky: &[String]) -> Option<String> {
    let name = table.name().to_string();
    let mut beneath = shown(table).map(|(_, _, origin)| view.named(&origin.table)).peekable();
    let reads_all = beneath.peek().is_some()
        && beneath.all(|table| table.is_some_and(|table| reads(table) && table.is_open()));
    (leaky.contains(&name) && !reads_all).then(|| {
        format!(
            "the view {name} hides rows without being a security barrier: a condition that fails on a hidden row reveals it. Run ALTER VIEW … SET (security_barrier)"
        )
    })
}

fn reads(table: &TableView) -> bool {
    table.actions.contains(Action::Select)
}

/// The columns that show a marked one, and lack the mark.
fn unmarked(settings: &Settings, whole: &View, table: &TableView) -> Vec<String> {
    let mut notes = Vec::new();
    for (position, column, ColumnOrigin { table: beneath, column: name, .. }) in shown(table) {
        let own = table.marks(position);
        let (known, named) = (whole.marks_of(beneath, name), settings.columns.of(beneath, name));
        for (mark, lacks) in [
            ("sensitive", (known.sensitive || named.sensitive) && !own.sensitive),
            ("untrusted", (known.untrusted || named.untrusted) && !own.untrusted),
        ] {
            if lacks {
                notes.push(format!(
                    "the view column {}.{} shows {beneath}.{name}, which is marked {mark}: columns.{mark} does not name \
                     the view's",
                    table.name(),
                    column.name
                ));
            }
        }
    }
    notes
}

/// The columns that show one which the role's own grant on the table beneath hides or masks.
fn unhidden(role: &Role, view: &View, whole: &View, table: &TableView) -> Vec<String> {
    let told = shown(table).filter(|(position, ..)| table.mask(*position).is_none());
    let notes = told.filter_map(|(_, column, origin)| {
        let beneath = view.named(&origin.table).filter(|table| reads(table))?;
        let kept = kept(beneath, whole, origin)?;
        Some(format!(
            "roles.{}: the view column {}.{} shows {}.{}, which a grant {kept}: exclude or mask the view's, too",
            role.name,
            table.name(),
            column.name,
            origin.table,
            origin.column
        ))
    });
    notes.collect()
}

/// How the column is kept from the role where its table is read, if it is.
fn kept(beneath: &TableView, whole: &View, origin: &ColumnOrigin) -> Option<&'static str> {
    whole.named(&origin.table)?.table.column(&origin.column)?;
    match beneath.table.column(&origin.column) {
        Some((position, column)) if column.can_select => beneath.mask(position).map(|_| "masks"),
        _ => Some("hides"),
    }
}
