//! Notes on views and child tables that reveal more than the tables whose columns they show, which may be intended.

use std::collections::HashSet;

use mcp_pg_core::policy::{Action, Role, Settings, TableView, View};
use mcp_pg_core::schema::{Schema, TableKind};
use mcp_pg_core::{Engine, Posture, Principal, TableName};

/// The notes on views and child tables that roles read. `leaky` are the views that leave out rows without being
/// `security_barrier`.
pub(super) fn of_views(engine: &Engine, settings: &Settings, leaky: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    for role in &settings.roles {
        let schema = &*engine.schema_of(role);
        let whole = View::everything(schema, settings);
        let view = View::new(schema, role, settings);
        for table in view.tables().iter().filter(|table| reads(table)) {
            let shown = match is_view(table) {
                true => shown(table),
                false => inherited(schema, table),
            };
            notes.extend(unfenced(&view, table, leaky));
            notes.extend(open_heir(role, &view, schema, table));
            notes.extend(unmarked(settings, &whole, table, &shown));
            notes.extend(unhidden(role, &view, &whole, table, &shown));
        }
    }
    let mut told = HashSet::new();
    notes.retain(|note| told.insert(note.clone()));
    notes
}

/// The notes on views without the row-level security of the tables beneath, as each role's database role sees them,
/// and on inheriting tables without that of their parents.
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

fn is_view(table: &TableView) -> bool {
    matches!(table.table.kind, TableKind::View | TableKind::MaterializedView)
}

/// A column that the role reads, and the column of another table that it shows.
struct Shown<'t> {
    position: usize,
    table: &'t TableName,
    column: &'t str,
    /// Both, as the beginning of a sentence.
    told: String,
}

/// The columns of a view that show columns of tables.
fn shown(view: &TableView) -> Vec<Shown<'_>> {
    let columns = view.readable_columns().filter_map(|position| {
        let column = &view.table.columns[position];
        let origin = column.origin.as_ref()?;
        let (table, name) = (&origin.table, origin.column.as_str());
        let told = format!("the view column {}.{} shows {table}.{name}", view.name(), column.name);
        Some(Shown { position, table, column: name, told })
    });
    columns.collect()
}

/// The columns that a child table inherits.
fn inherited<'t>(schema: &'t Schema, child: &'t TableView) -> Vec<Shown<'t>> {
    let mut columns = Vec::new();
    for table in ancestors(schema, child) {
        let parent = schema.table(table);
        for position in child.readable_columns() {
            let column = child.table.columns[position].name.as_str();
            if parent.is_some_and(|parent| parent.column(column).is_some()) {
                let told = format!(
                    "the column {}.{column} is inherited from {table}.{column}",
                    child.name()
                );
                columns.push(Shown { position, table, column, told });
            }
        }
    }
    columns
}

fn ancestors<'s>(schema: &'s Schema, child: &TableView) -> &'s [TableName] {
    schema.table(child.name()).map_or(&[], |child| &child.ancestors)
}

/// The note on a child table whose rows the role can read although not through the parent.
fn open_heir(role: &Role, view: &View, schema: &Schema, child: &TableView) -> Option<String> {
    let parents = ancestors(schema, child).iter().filter_map(|parent| view.named(parent));
    let mut bound = parents.filter(|parent| parent.row_rule(Action::Select).is_some());
    let parent = bound.next().filter(|_| child.row_rule(Action::Select).is_none())?.name();
    Some(format!(
        "roles.{}: {} inherits from {parent}, of which a grant's rows show a part; by itself, all of its rows are shown: give its grant \
         rows, too, or leave it out",
        role.name,
        child.name()
    ))
}

/// The note on a view that hides rows but evaluates the caller's conditions on them, whose errors may reveal them.
fn unfenced(view: &View, table: &TableView, leaky: &[String]) -> Option<String> {
    let name = table.name().to_string();
    let shown = shown(table);
    let mut beneath = shown.iter().map(|shown| view.named(shown.table)).peekable();
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

/// The columns that show a marked column without having the mark.
fn unmarked(
    settings: &Settings,
    whole: &View,
    table: &TableView,
    shown: &[Shown<'_>],
) -> Vec<String> {
    let mut notes = Vec::new();
    for Shown { position, table: beneath, column: name, told } in shown {
        let own = table.marks(*position);
        let (known, named) = (whole.marks_of(beneath, name), settings.columns.of(beneath, name));
        for (mark, lacks) in [
            ("sensitive", (known.sensitive || named.sensitive) && !own.sensitive),
            ("untrusted", (known.untrusted || named.untrusted) && !own.untrusted),
        ] {
            if lacks {
                notes.push(format!(
                    "{told}, which is marked {mark}: columns.{mark} does not name that of {}",
                    table.name()
                ));
            }
        }
    }
    notes
}

/// The columns that show a column which the role's grant on the table beneath hides or masks.
fn unhidden(
    role: &Role,
    view: &View,
    whole: &View,
    table: &TableView,
    shown: &[Shown<'_>],
) -> Vec<String> {
    let unmasked = shown.iter().filter(|shown| table.mask(shown.position).is_none());
    let notes = unmasked.filter_map(|shown| {
        let beneath = view.named(shown.table).filter(|table| reads(table))?;
        let kept = kept(beneath, whole, shown)?;
        let (role, told, name) = (&role.name, &shown.told, table.name());
        Some(format!(
            "roles.{role}: {told}, which a grant {kept}: exclude or mask that of {name}, too"
        ))
    });
    notes.collect()
}

/// How the role's grant on the table beneath hides the column, if it does.
fn kept(beneath: &TableView, whole: &View, shown: &Shown<'_>) -> Option<&'static str> {
    whole.named(shown.table)?.table.column(shown.column)?;
    match beneath.table.column(shown.column) {
        Some((position, column)) if column.can_select => beneath.mask(position).map(|_| "masks"),
        _ => Some("hides"),
    }
}
