//! Steps along relations, from a row to related rows.

use super::{Predicate, Scope};
use crate::error::{Code, Error, Result};
use crate::policy::{Action, TableView, shown};
use crate::request::Archived;
use crate::schema::{ForeignKey, Found, Key, Relation, RelationKind, TableKind};

/// A step along a relation, to the related rows that exist for the caller.
#[derive(Debug, Clone)]
pub struct Hop<'v> {
    /// The table it starts from.
    pub subject: &'v TableView,
    /// The relation.
    pub relation: &'v Relation,
    /// The related table.
    pub table: &'v TableView,
    /// The condition on rows of the related table to exist for the caller.
    pub visible: Predicate<'v>,
    /// For a many-to-many relation, the junction table and the condition on its rows.
    pub junction: Option<(&'v TableView, Predicate<'v>)>,
}

impl Hop<'_> {
    /// Whether it leads to at most one row.
    pub(crate) fn is_to_one(&self) -> bool {
        self.relation.kind == RelationKind::ToOne
    }

    /// Whether it leaves out archived rows.
    pub(crate) fn leaves_out_archived(&self) -> bool {
        let archive = self.table.archive.as_ref();
        archive.is_some_and(|archive| self.visible.leaves_out(archive))
    }

    /// What a row is that exists but does not for the caller, if there may be such. It depends on the role and on the tables
    /// alone, not on their rows.
    pub(crate) fn unseen(&self) -> Option<&'static str> {
        match (self.leaves_out_archived(), self.table.is_open()) {
            (true, true) => Some("archived"),
            (true, false) => Some("archived or not visible to the caller"),
            (false, false) => Some("not visible to the caller"),
            (false, true) => None,
        }
    }

    /// Whether it leads to rows of a view, or by way of one.
    pub(super) fn leads_to_view(&self) -> bool {
        self.tables().any(|table| table.table.kind == TableKind::View)
    }

    /// Whether it leads to rows that an index on what the role does not see may find, or by way of such.
    pub(super) fn is_found_by_hidden(&self) -> bool {
        self.tables().any(|table| table.found_by_hidden)
    }

    /// The tables that it leads to.
    fn tables(&self) -> impl Iterator<Item = &TableView> {
        let junction = self.junction.iter().map(|(junction, _)| *junction);
        junction.chain([self.table])
    }

    /// Whether it leads to the table's own rows only, not to those of inheriting tables: its last step is a foreign
    /// key, which does not refer to these.
    pub(crate) fn leads_to_its_own(&self) -> bool {
        if !self.table.table.has_heirs {
            return false;
        }
        let (from, pairs) = match (&self.relation.junction, &self.junction) {
            (Some(path), Some((middle, _))) => (*middle, &path.columns),
            _ if self.is_to_one() => (self.subject, &self.relation.columns),
            _ => return false,
        };
        let columns = &self.table.table.columns;
        let named =
            pairs.iter().map(|(ours, theirs)| (*ours, columns.get(*theirs).map(|c| &c.name)));
        from.table.foreign_keys.iter().any(|key| {
            let columns = key.columns.iter().copied().zip(key.references.iter().map(Some));
            key.table == *self.table.name() && columns.eq(named.clone())
        })
    }

    /// Whether PostgreSQL would read a whole table for each row from which it starts: no index begins with a column by
    /// which the rows at its end are found. PostgreSQL makes none for a foreign key.
    ///
    /// How many rows the table has does not matter: there may be many from which it starts.
    pub(crate) fn is_slow(&self) -> bool {
        let table = &self.table.table;
        let stored = matches!(
            table.kind,
            TableKind::Table | TableKind::PartitionedTable | TableKind::MaterializedView
        );
        let finds = |(_, theirs): &(usize, usize)| {
            let name = table.columns.get(*theirs).map(|column| &column.name);
            table.indexes.iter().any(|index| index.parts.first() == name)
        };
        // Where types differ, what is equal to a value need not be equal to each other; integers and `numeric` are.
        let alike = |(ours, theirs): &(usize, usize)| {
            let [ours, theirs] = [(&self.subject.table, ours), (table, theirs)]
                .map(|(table, position)| table.columns.get(*position).map(|it| &it.data_type));
            ours.zip(theirs).is_some_and(|(ours, theirs)| {
                let [ours, theirs] = [ours.base(), theirs.base()];
                let same = ours.oid == theirs.oid && ours.collation == theirs.collation;
                same || ours.is_exact() && theirs.is_exact()
            })
        };
        stored
            && self.relation.columns.iter().all(alike)
            && self.junction.is_none()
            && !self.relation.columns.iter().any(finds)
    }

    /// Whether it leads to one of several rows, which no index finds, so that it takes less time to find these for all rows at
    /// once.
    pub(crate) fn has_firsts(&self) -> bool {
        let columns = &self.table.table.columns;
        let ordered = |(_, theirs): &(usize, usize)| columns[*theirs].data_type.ordering;
        self.is_to_one()
            && !self.is_keyed()
            && self.is_slow()
            && self.relation.columns.iter().all(ordered)
    }

    /// Whether a key guarantees that it leads to at most one row, so that joining it cannot duplicate rows.
    pub(crate) fn is_keyed(&self) -> bool {
        let compared =
            |position: usize| self.relation.columns.iter().any(|(_, theirs)| *theirs == position);
        self.is_to_one() && self.leads_to_a_key(compared)
    }

    /// Whether at most one of the rows that it leads to has the same values in these columns.
    pub(crate) fn leads_to_a_key(&self, among: impl Fn(usize) -> bool) -> bool {
        let table = &self.table.table;
        let holds = |key: &Key| key.arbiter && key.columns.iter().all(|column| among(*column));
        match self.leads_to_its_own() {
            true => table.keys().any(holds),
            false => table.row_keys().any(holds),
        }
    }
}

impl<'v> Scope<'v> {
    /// Like [`Scope::relation`], where only a to-one relation is possible.
    pub(super) fn relation_to_one(&self, table: &'v TableView, name: &str) -> Result<&'v Relation> {
        self.relation_among(table, name, |kind| kind == RelationKind::ToOne)
    }

    /// Like [`Scope::relation`], where only a to-many relation is possible.
    pub(super) fn relation_to_many(
        &self,
        table: &'v TableView,
        name: &str,
    ) -> Result<&'v Relation> {
        self.relation_among(table, name, |kind| kind != RelationKind::ToOne)
    }

    fn relation_among(
        &self,
        table: &'v TableView,
        name: &str,
        wanted: impl Fn(RelationKind) -> bool,
    ) -> Result<&'v Relation> {
        let wanted = |relation: &&Relation| wanted(relation.kind);
        let named = |relation: &Relation| relation.name == name || relation.unambiguous == name;
        // The name of another key's relation means that one, not one that only has it besides its own.
        let taken = |relation: &Relation| {
            let mut others = table.relations.iter().filter(|other| other.name == name);
            // The same key leads back only within one table. Constraints of several tables may have one name.
            let within = self.view.at(relation.table).is_some_and(|to| to.name() == table.name());
            others.any(|other| !within || other.constraint != relation.constraint)
        };
        match Relation::find(table.relations.iter().filter(wanted), name) {
            Found::One(relation) if named(relation) || !taken(relation) => Ok(relation),
            _ => self.relation(table, name),
        }
    }

    /// The relation of `table` with this name; or the to-one relation whose foreign key the column of this name names.
    ///
    /// # Errors
    ///
    /// `unknown_relation` with the nearest name, or `ambiguous_relation` with unambiguous names.
    pub fn relation(&self, table: &'v TableView, name: &str) -> Result<&'v Relation> {
        match Relation::find(&table.relations, name) {
            Found::One(relation) => Ok(relation),
            Found::Ambiguous(names) => Err(ambiguous(name, &names)),
            Found::Unknown if let Some(relation) = self.by_key(table, name) => Ok(relation),
            Found::Unknown => {
                let names = || table.relations.iter().map(|relation| table.relation_name(relation));
                let error = Error::new(
                    Code::UnknownRelation,
                    format!("{} has no relation {}", table.name(), shown(name)),
                )
                .allowed(names())
                .hint("describe_table lists the relations of a table");
                // The column of a foreign key stands for the referenced row.
                let column = table.column(name);
                let refers = |relation: &&Relation| {
                    let ours = relation.columns.iter().map(|(ours, _)| *ours);
                    relation.kind == RelationKind::ToOne
                        && column
                            .is_some_and(|(position, _)| ours.clone().any(|ours| ours == position))
                };
                let error = match column {
                    Some((_, column)) if column.data_type.is_json() => {
                        error.hint(format!("{name} is a column of JSON: columns returns it"))
                    }
                    _ => error,
                };
                // The relation to a table of another schema has the table's name without the schema.
                let bare = name.rsplit_once('.').map(|(_, bare)| bare);
                let meant = names().find(|known| Some(*known) == bare);
                Err(match (table.relations.iter().find(refers), meant) {
                    (Some(relation), _) => error.did_you_mean(table.relation_name(relation)),
                    (None, Some(meant)) => error.did_you_mean(meant),
                    (None, None) => error.nearest(name, names()),
                })
            }
        }
    }

    /// The step along a relation of `subject`.
    ///
    /// # Errors
    ///
    /// `internal` if the relation is not the subject's, or a row condition of the role does not fit.
    pub fn hop(&self, subject: &'v TableView, relation: &'v Relation) -> Result<Hop<'v>> {
        self.hop_to(subject, relation, self.related)
    }

    /// [`Scope::hop`] to archived rows, to other rows, or to both.
    pub(super) fn hop_to(
        &self,
        subject: &'v TableView,
        relation: &'v Relation,
        archived: Archived,
    ) -> Result<Hop<'v>> {
        let lost = || Error::new(Code::Internal, "a relation leads out of the view");
        let table = self.view.at(relation.table).ok_or_else(lost)?;
        table.require(Action::Select)?;
        let junction = match &relation.junction {
            None => None,
            Some(junction) => {
                let middle = self.view.at(junction.table).ok_or_else(lost)?;
                // Only archived rows are requested, but they are related through rows that are not archived.
                let archived = match archived {
                    Archived::Only => Archived::Exclude,
                    archived => archived,
                };
                Some((middle, self.existing(middle, archived)?))
            }
        };
        Ok(Hop { subject, relation, table, visible: self.existing(table, archived)?, junction })
    }

    /// The only to-one relation of a foreign key that this column names. It leads to the table, even if views also show
    /// the referenced columns.
    fn by_key(&self, table: &'v TableView, name: &str) -> Option<&'v Relation> {
        let (position, _) = table.column(name)?;
        let own = |relation: &Relation| -> Vec<usize> {
            relation.columns.iter().map(|(own, _)| *own).collect()
        };
        let keys = || table.table.foreign_keys.iter().chain(&table.table.logical_keys);
        let names = |key: &ForeignKey| {
            let naming = table.table.naming(key).and_then(|naming| key.columns.get(naming));
            naming == Some(&position)
        };
        let declared = |relation: &&Relation| {
            let to = self.view.at(relation.table).map(TableView::name);
            let mut keys = table.table.foreign_keys.iter();
            keys.any(|key| key.columns == own(relation) && Some(&key.table) == to)
        };
        let found = table.relations.iter().filter(|relation| {
            let own = own(relation);
            let named = own == [position] || keys().any(|key| key.columns == own && names(key));
            named && relation.kind == RelationKind::ToOne
        });
        let found: Vec<&Relation> = found.collect();
        match found.as_slice() {
            [one] => Some(one),
            several => {
                let mut declared = several.iter().copied().filter(declared);
                declared.next().filter(|_| declared.next().is_none())
            }
        }
    }

    /// The condition on a related table's rows: visible ones, archived or not.
    fn existing(&self, table: &'v TableView, archived: Archived) -> Result<Predicate<'v>> {
        Ok(Predicate::All(vec![
            self.visible(table, Action::Select)?,
            self.archived(table, archived)?,
        ]))
    }

    /// The scope for a request's `archived` argument. Related rows may be archived only if both kinds are requested.
    pub(super) fn among(&self, archived: Option<Archived>) -> Self {
        let related = match archived {
            None => self.related,
            Some(Archived::Include) => Archived::Include,
            Some(Archived::Exclude | Archived::Only) => Archived::Exclude,
        };
        Self { related, ..*self }
    }
}

pub(super) fn ambiguous(name: &str, names: &[&str]) -> Error {
    Error::new(Code::AmbiguousRelation, format!("{name:?} may mean several relations"))
        .allowed(names.iter().copied())
}
