//! Rows of `view_rules.sql`, `origins.sql` and `ancestors.sql`: the tables' columns that views show, and the keys
//! that follow from them.

use std::collections::HashMap;

use tokio_postgres::Row;
use tokio_postgres::error::Error as PgError;

use super::keys::foreign_key;
use super::target_list::{Selected, Shown, selected};
use super::text::Texts as _;
use super::{Tables, name};
use crate::schema::{Column, ColumnOrigin, ForeignKey, Key, RelationNames, Table, TableKind};

/// The most levels of views that are followed.
const DEPTH_MOST: usize = 32;

/// The query of each view, by the view's OID.
pub(super) struct Rules(HashMap<u32, Rule>);

struct Rule {
    selected: Selected,
    /// Whether an insert into the view inserts into the relation that it reads.
    inserts_beneath: bool,
}

/// Rows about the tables beneath views.
pub(super) struct Beneath<'r> {
    /// Rows of `origins.sql`.
    pub(super) columns: &'r [Row],
    /// Rows of `ancestors.sql`.
    pub(super) ancestors: &'r [Row],
    /// Rows of `foreign_keys.sql`.
    pub(super) foreign_keys: &'r [Row],
    /// Rows of `indexes.sql`.
    pub(super) indexes: &'r [Row],
}

/// The columns of the tables beneath views, by table and number, each with its row of `origins.sql`.
type Origins<'r> = HashMap<(u32, i16), (ColumnOrigin, &'r Row)>;

/// The table of which each row of a view is one row.
struct Subject {
    table: u32,
    /// Whether the rows of inheriting tables are included.
    with_heirs: bool,
    /// Whether ON CONFLICT can be used on the view: an insert goes to the table, and every row that it can conflict
    /// with is in the view. (PostgreSQL does not check a view's condition in ON CONFLICT.)
    meets_its_own: bool,
    /// Whether PostgreSQL itself writes what is written to the view to the table, without any rule or trigger.
    is_written: bool,
}

impl Rules {
    pub(super) fn read(rows: &[Row]) -> Result<Self, PgError> {
        let rule = |row: &Row| {
            let selected = selected(&row.text("tree")?);
            let rule = Rule { selected, inserts_beneath: row.try_get("inserts_beneath")? };
            Ok((row.try_get("view")?, rule))
        };
        rows.iter().map(rule).collect::<Result<_, PgError>>().map(Self)
    }

    /// The table whose rows a view shows, each at most once.
    fn subject(&self, view: u32, depth: usize) -> Option<Subject> {
        let rule = self.0.get(&view)?;
        let only = rule.selected.only.filter(|_| depth < DEPTH_MOST)?;
        let is_written = rule.inserts_beneath;
        let meets_its_own = is_written && only.whole;
        if !self.0.contains_key(&only.relation) {
            let (table, with_heirs) = (only.relation, only.with_heirs);
            return Some(Subject { table, with_heirs, meets_its_own, is_written });
        }
        let next = self.subject(only.relation, depth + 1)?;
        let meets_its_own = meets_its_own && next.meets_its_own;
        Some(Subject { meets_its_own, is_written: is_written && next.is_written, ..next })
    }

    /// The tables beneath all views.
    pub(super) fn tables(&self) -> Vec<u32> {
        let shown = self.0.values().flat_map(|rule| &rule.selected.shown);
        let all = shown.filter_map(|shown| self.origin(*shown, 0));
        let mut tables: Vec<u32> = all.map(|(table, _)| table).collect();
        tables.sort_unstable();
        tables.dedup();
        tables
    }

    /// The table and column that a view's column shows, through all views.
    fn origin(&self, shown: Shown, depth: usize) -> Option<(u32, i16)> {
        match self.0.get(&shown.table) {
            None => Some((shown.table, shown.column)),
            Some(_) if depth == DEPTH_MOST => None,
            Some(rule) => {
                let next = rule.selected.shown.iter().find(|next| next.number == shown.column)?;
                self.origin(*next, depth + 1)
            }
        }
    }
}

/// Sets the origins of the views' columns, and adds the keys that follow from them.
pub(super) fn add(
    tables: &mut Tables,
    rules: &Rules,
    beneath: &Beneath<'_>,
) -> Result<(), PgError> {
    let origins = origins(beneath)?;
    let (foreign_keys, indexes) = (by_table(beneath.foreign_keys)?, by_table(beneath.indexes)?);
    for (oid, table) in tables.iter_mut() {
        if !matches!(table.kind, TableKind::View | TableKind::MaterializedView) {
            continue;
        }
        let subject = rules.subject(*oid, 0);
        let mut heirs = false;
        let mut shown: Vec<(usize, (u32, i16))> = Vec::new();
        for item in rules.0.get(oid).iter().flat_map(|rule| &rule.selected.shown) {
            let position = table.columns.binary_search_by_key(&item.number, |column| column.number);
            if let (Ok(position), Some(origin)) = (position, rules.origin(*item, 0))
                && let Some((known, row)) = origins.get(&origin)
            {
                shows(&mut table.columns[position], known, row, subject.as_ref())?;
                heirs |= row.try_get::<_, bool>("has_heirs")?;
                shown.push((position, origin));
            }
        }
        let groups = rules.0.get(oid).map(|rule| Groups {
            selected: &rule.selected,
            origins: &origins,
            indexes: &indexes,
        });
        let mut own = None;
        if let Some(groups) = groups
            && let Some(key) = groups.key(table)?
        {
            own = groups.reference(&key, &shown)?;
            table.unique_keys.push(key);
        }
        let mut beneath: Vec<u32> = shown.iter().map(|(_, (table, _))| *table).collect();
        beneath.sort_unstable();
        beneath.dedup();
        for row in beneath.iter().filter_map(|table| foreign_keys.get(table)).flatten() {
            table.logical_keys.extend(keys_of(row, &shown)?);
        }
        // What names the table on its own means the row to which a key of it refers, if there is one.
        own = own.filter(|own| table.logical_keys.iter().all(|key| key.table != own.table));
        table.logical_keys.extend(own);
        if let Some(subject) = subject.filter(|subject| !(heirs && subject.with_heirs)) {
            for row in indexes.get(&subject.table).into_iter().flatten() {
                add_key(table, row, &subject, &shown)?;
            }
        }
    }
    Ok(())
}

/// Tells a view's column what is known of the table's column that it shows.
fn shows(
    column: &mut Column,
    origin: &ColumnOrigin,
    row: &Row,
    subject: Option<&Subject>,
) -> Result<(), PgError> {
    column.origin = Some(origin.clone());
    let Some(subject) = subject else { return Ok(()) };
    if row.try_get("never_null")? {
        column.may_be_null = false;
    }
    if subject.is_written && row.try_get("read_only")? {
        column.can_insert = false;
        column.insert_granted = false;
        column.can_update = false;
    }
    Ok(())
}

fn origins<'r>(beneath: &Beneath<'r>) -> Result<Origins<'r>, PgError> {
    let ancestors = by_table(beneath.ancestors)?;
    let mut origins = HashMap::new();
    for row in beneath.columns {
        let table: u32 = row.try_get("table")?;
        let above = ancestors.get(&table).into_iter().flatten().map(|row| name(row));
        let origin = ColumnOrigin {
            table: name(row)?,
            column: row.text("column")?,
            defaulted: row.try_get("defaulted")?,
            ancestors: above.collect::<Result<_, PgError>>()?,
        };
        origins.insert((table, row.try_get("number")?), (origin, row));
    }
    Ok(origins)
}

/// The columns that a view groups by, which contain a key of its rows.
struct Groups<'r> {
    selected: &'r Selected,
    origins: &'r Origins<'r>,
    indexes: &'r HashMap<u32, Vec<&'r Row>>,
}

impl Groups<'_> {
    /// The key, if the view shows all of its columns.
    fn key(&self, view: &Table) -> Result<Option<Key>, PgError> {
        let mut columns = Vec::new();
        for group in &self.selected.groups {
            if self.follows(group.of)? {
                continue;
            }
            let number = group.of.number;
            match view.columns.binary_search_by_key(&number, |column| column.number) {
                Ok(position) if group.is_shown => columns.push(position),
                _ => return Ok(None),
            }
        }
        let name = String::new();
        let key = Key { name, columns, arbiter: false, nulls_equal: true, comment: None };
        Ok((!key.columns.is_empty()).then_some(key))
    }

    /// The reference to the table whose primary key is the view's key.
    fn reference(
        &self,
        key: &Key,
        shown: &[(usize, (u32, i16))],
    ) -> Result<Option<ForeignKey>, PgError> {
        let origin = |position: &usize| {
            let (_, origin) = shown.iter().find(|(place, _)| place == position)?;
            Some((*origin, *position))
        };
        let places: Option<HashMap<(u32, i16), usize>> = key.columns.iter().map(origin).collect();
        let Some(places) = places else { return Ok(None) };
        let Some((table, _)) = places.keys().next() else { return Ok(None) };
        for row in self.indexes.get(table).into_iter().flatten() {
            let numbers: Vec<i16> = row.try_get("columns")?;
            let columns = numbers.iter().map(|number| places.get(&(*table, *number)).copied());
            let columns = columns.collect::<Option<Vec<usize>>>();
            let known = numbers.iter().map(|number| self.origins.get(&(*table, *number)));
            let known = known.collect::<Option<Vec<_>>>();
            let (Some(columns), Some(known)) = (columns, known) else { continue };
            let Some((origin, beneath)) = known.first() else { continue };
            let whole = columns.len() == key.columns.len() && row.try_get("primary")?;
            // Rows of heirs may have the same key.
            if !whole || beneath.try_get("has_heirs")? {
                continue;
            }
            return Ok(Some(ForeignKey {
                name: row.text("name")?,
                columns,
                table: origin.table.clone(),
                references: known.iter().map(|(origin, _)| origin.column.clone()).collect(),
                deferrable: false,
                cascades: false,
                relation_names: RelationNames::default(),
                comment: None,
            }));
        }
        Ok(None)
    }

    /// Whether the column depends on a primary key that the view groups by, too.
    fn follows(&self, of: Shown) -> Result<bool, PgError> {
        let read = self.selected.read.iter().filter(|table| **table == of.table);
        let Some((_, origin)) = self.origins.get(&(of.table, of.column)) else { return Ok(false) };
        if read.count() != 1 || origin.try_get("has_heirs")? {
            return Ok(false);
        }
        let groups = self.selected.groups.iter().map(|group| group.of);
        for row in self.indexes.get(&of.table).into_iter().flatten() {
            let key: Vec<i16> = row.try_get("columns")?;
            let grouped = |number: &i16| {
                groups.clone().any(|other| other.table == of.table && other.column == *number)
            };
            let holds = row.try_get("primary")? && row.try_get("arbiter")?;
            if holds && !key.contains(&of.column) && key.iter().all(grouped) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn by_table(rows: &[Row]) -> Result<HashMap<u32, Vec<&Row>>, PgError> {
    let mut by_table: HashMap<u32, Vec<&Row>> = HashMap::new();
    for row in rows {
        by_table.entry(row.try_get("table")?).or_default().push(row);
    }
    Ok(by_table)
}

/// Adds the key from a row of `indexes.sql`, if it is one and the view shows all of its columns.
fn add_key(
    view: &mut Table,
    row: &Row,
    subject: &Subject,
    shown: &[(usize, (u32, i16))],
) -> Result<(), PgError> {
    let partial = row.text_or_null("predicate")?.is_some();
    let place = |number: i16| {
        let found = shown.iter().find(|(_, origin)| *origin == (subject.table, number));
        found.map(|(place, _)| *place)
    };
    let numbers: Vec<i16> = row.try_get("columns")?;
    let columns: Option<Vec<usize>> = numbers.into_iter().map(place).collect();
    let Some(columns) = columns.filter(|_| !partial) else { return Ok(()) };
    if !row.try_get::<_, bool>("unique")? {
        return Ok(());
    }
    let key = Key {
        name: row.text("name")?,
        columns,
        arbiter: subject.meets_its_own && row.try_get("arbiter")?,
        nulls_equal: row.try_get("nulls_equal")?,
        comment: None,
    };
    match row.try_get("primary")? {
        true => view.primary_key = Some(key),
        false => view.unique_keys.push(key),
    }
    Ok(())
}

/// The foreign key from a row of `foreign_keys.sql`, as a view shows it. A view that joins a table with itself may
/// show the key's column several times, each of which becomes a key.
fn keys_of(row: &Row, shown: &[(usize, (u32, i16))]) -> Result<Vec<ForeignKey>, PgError> {
    let table: u32 = row.try_get("table")?;
    let places = |number: i16| {
        shown.iter().filter(move |(_, origin)| *origin == (table, number)).map(|(place, _)| *place)
    };
    let numbers: Vec<i16> = row.try_get("columns")?;
    let columns: Vec<Vec<usize>> = match numbers.as_slice() {
        [number] => places(*number).map(|place| vec![place]).collect(),
        numbers => {
            let first: Option<Vec<usize>> =
                numbers.iter().map(|number| places(*number).next()).collect();
            first.into_iter().collect()
        }
    };
    let key = |columns: Vec<usize>| {
        let (deferrable, cascades, comment) = (false, false, None);
        Ok(ForeignKey { deferrable, cascades, comment, ..foreign_key(row, columns)? })
    };
    columns.into_iter().map(key).collect()
}
