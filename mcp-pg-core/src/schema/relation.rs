//! Relations: foreign keys seen from both ends, and through junction tables; finding one by its name.

use serde::Serialize;

/// How many rows a relation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// This table's foreign key: one row or none.
    ToOne,
    /// Another table's foreign key to this one.
    ToMany,
    /// Through a junction table: two foreign keys are in its primary key, or are together a unique one.
    ManyToMany,
}

/// A relation from one table to another, as positions in [`Schema::tables`](super::Schema).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The short name: `customer`, `items`; several relations of a table may share it.
    pub name: String,
    /// Another name, taken where it is nobody's: the referenced table's for a relation to one row, that with the
    /// whole names of the key's columns for one to many.
    pub alias: Option<String>,
    /// The name that no other relation of the table has.
    pub unambiguous: String,
    /// How many rows it leads to.
    pub kind: RelationKind,
    /// The table at the other end.
    pub table: usize,
    /// Pairs of column positions: in this table, and in the other one or the junction.
    pub columns: Vec<(usize, usize)>,
    /// The junction and the pairs from it to the other table.
    pub junction: Option<Junction>,
    /// The foreign key's name.
    pub constraint: String,
}

/// The table in the middle of a many-to-many relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Junction {
    /// Its position in [`Schema::tables`](super::Schema).
    pub table: usize,
    /// Pairs of column positions: in the junction, and in the table at the other end.
    pub columns: Vec<(usize, usize)>,
    /// Whether several of its rows may lead from one row to the same other one: its key has more than the two foreign keys.
    pub repeats: bool,
}

/// What [`Relation::find`] found under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// The one relation that is meant.
    One(&'a Relation),
    /// Several share the name; their unambiguous names.
    Ambiguous(Vec<&'a str>),
    /// No relation has the name.
    Unknown,
}

impl Relation {
    /// Every name that it goes by.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let alias = self.alias.as_deref();
        [self.name.as_str(), self.unambiguous.as_str()].into_iter().chain(alias)
    }

    /// Its name that is spelled so; the short one if none is.
    pub fn called(&self, name: &str) -> &str {
        let others = [Some(&self.unambiguous), self.alias.as_ref()];
        others.into_iter().flatten().find(|known| *known == name).unwrap_or(&self.name)
    }

    /// The relation with this name among those of one table, or of what a role sees of it.
    ///
    /// An unambiguous name wins over a short one, and a short one over an alias.
    ///
    /// ```
    /// use mcp_pg_core::schema::{Found, Relation, RelationKind};
    ///
    /// let films = |unambiguous: &str| Relation {
    ///     name: "film".into(),
    ///     alias: None,
    ///     unambiguous: unambiguous.into(),
    ///     kind: RelationKind::ToMany,
    ///     table: 1,
    ///     columns: vec![(0, 2)],
    ///     junction: None,
    ///     constraint: "film_language_id_fkey".into(),
    /// };
    /// let of_a_language = [films("film_by_language"), films("film_by_original_language")];
    /// let found = Relation::find(&of_a_language, "film_by_language");
    /// assert_eq!(found, Found::One(&of_a_language[0]));
    /// let found = Relation::find(&of_a_language, "film");
    /// assert_eq!(found, Found::Ambiguous(vec!["film_by_language", "film_by_original_language"]));
    /// ```
    pub fn find<'a>(relations: impl IntoIterator<Item = &'a Relation>, name: &str) -> Found<'a> {
        let (mut named, mut aliased) = (Vec::new(), Vec::new());
        for relation in relations {
            if relation.unambiguous == name {
                return Found::One(relation);
            }
            if relation.name == name {
                named.push(relation);
            }
            if relation.alias.as_deref() == Some(name) {
                aliased.push(relation);
            }
        }
        let meant = if named.is_empty() { aliased } else { named };
        match meant.as_slice() {
            [] => Found::Unknown,
            [one] => Found::One(one),
            several => Found::Ambiguous(several.iter().map(|r| r.unambiguous.as_str()).collect()),
        }
    }
}
