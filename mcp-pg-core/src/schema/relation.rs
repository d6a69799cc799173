//! Relations between tables, along foreign keys and through junction tables, and how they are found by name.

use serde::Serialize;

/// The kind of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// Along this table's foreign key, to one row or none.
    ToOne,
    /// Along another table's foreign key to this one, to any number of rows.
    ToMany,
    /// Through a junction table, whose two foreign keys are in its primary key or together are unique.
    ManyToMany,
}

/// A relation from one table to another, as positions in [`Schema::tables`](super::Schema).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The short name: `customer`, `items`; several relations of a table may share it.
    pub name: String,
    /// Another name, used where it is not ambiguous: the referenced table's name for a relation to one row; for one
    /// to many, the name with the key's full column names.
    pub alias: Option<String>,
    /// The name that no other relation of the table has.
    pub unambiguous: String,
    /// Names that it would have if there were no other. None of them finds it, but the error lists it.
    pub shared: Vec<String>,
    /// The kind.
    pub kind: RelationKind,
    /// The position of the other table.
    pub table: usize,
    /// Pairs of column positions: in this table, and in the other one or the junction.
    pub columns: Vec<(usize, usize)>,
    /// For a many-to-many relation: the junction.
    pub junction: Option<Junction>,
    /// The foreign key's name.
    pub constraint: String,
}

/// The junction table of a many-to-many relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Junction {
    /// Its position in [`Schema::tables`](super::Schema).
    pub table: usize,
    /// Pairs of column positions: in the junction, and in the table at the other end.
    pub columns: Vec<(usize, usize)>,
    /// Whether several of its rows may relate the same two rows, because its key has further columns.
    pub repeats: bool,
}

/// The result of [`Relation::find`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// One relation.
    One(&'a Relation),
    /// Several relations share the name; these are their unambiguous names.
    Ambiguous(Vec<&'a str>),
    /// No relation has the name.
    Unknown,
}

impl Relation {
    /// All names of the relation.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let alias = self.alias.as_deref();
        [self.name.as_str(), self.unambiguous.as_str()].into_iter().chain(alias)
    }

    /// The one of its names that is spelled like this; otherwise the short one.
    pub fn called(&self, name: &str) -> &str {
        let others = [Some(&self.unambiguous), self.alias.as_ref()];
        others.into_iter().flatten().find(|known| *known == name).unwrap_or(&self.name)
    }

    /// Finds a relation by name, among those of one table or those that a role sees of it.
    ///
    /// Unambiguous names are tried first, then short ones, then aliases. An alias of several relations is as good as a short name,
    /// and so is one that another relation would have, too.
    ///
    /// ```
    /// use mcp_pg_core::schema::{Found, Relation, RelationKind};
    ///
    /// let films = |unambiguous: &str| Relation {
    ///     name: "film".into(),
    ///     alias: None,
    ///     unambiguous: unambiguous.into(),
    ///     shared: Vec::new(),
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
        let (mut named, mut aliased, mut shared) = (Vec::new(), Vec::new(), Vec::new());
        for relation in relations {
            if relation.unambiguous == name {
                return Found::One(relation);
            }
            if relation.name == name {
                named.push(relation);
            } else if relation.alias.as_deref() == Some(name) {
                aliased.push(relation);
            } else if relation.shared.iter().any(|shared| shared == name) {
                shared.push(relation);
            }
        }
        // What several keys to one table share as an alias means none of them.
        if named.is_empty() || aliased.len() > 1 || !shared.is_empty() {
            named.extend(aliased);
        }
        if !named.is_empty() || shared.len() > 1 {
            named.extend(shared);
        }
        match named.as_slice() {
            [] => Found::Unknown,
            [one] => Found::One(one),
            several => Found::Ambiguous(several.iter().map(|r| r.unambiguous.as_str()).collect()),
        }
    }
}
