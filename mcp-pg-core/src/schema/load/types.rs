//! Rows of `types.sql`, resolved into [`DataType`]s that share their component types.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::error::Error as PgError;

use super::comment;
use super::text::Texts as _;
use crate::schema::{Collation, DataType, Field, Kind};

/// The most levels of types within types. Deeper types are not resolved.
const DEPTH_MOST: usize = 64;

/// All types that the columns use, read or resolved.
pub(super) struct Types {
    read: HashMap<u32, Definition>,
    resolved: HashMap<u32, Arc<DataType>>,
}

/// A type that refers to other types by OID.
struct Definition {
    name: String,
    comment: Option<String>,
    equality: bool,
    ordering: bool,
    distance: bool,
    kind: Unresolved,
}

enum Unresolved {
    Base,
    Enum(Vec<String>),
    Array { element: u32, delimiter: char },
    Domain { base: u32, base_name: String, not_null: bool, checks: Vec<String> },
    Composite(Vec<UnresolvedField>),
    Range(u32),
    Multirange(u32),
}

struct UnresolvedField {
    name: String,
    oid: u32,
    type_name: String,
    collation: Collation,
}

impl Types {
    pub(super) fn read(rows: &[Row]) -> Result<Self, PgError> {
        let read = rows
            .iter()
            .map(|row| Ok((row.try_get("oid")?, definition(row)?)))
            .collect::<Result<_, PgError>>()?;
        Ok(Self { read, resolved: HashMap::new() })
    }

    /// The type with this OID. A type dropped since the snapshot becomes a base type without a name.
    pub(super) fn get(&mut self, oid: u32) -> Arc<DataType> {
        self.resolve(oid, 0)
    }

    fn resolve(&mut self, oid: u32, depth: usize) -> Arc<DataType> {
        if let Some(data_type) = self.resolved.get(&oid) {
            return data_type.clone();
        }
        // Removed while its components are resolved, so that even a cycle would end.
        let definition = self.read.remove(&oid).unwrap_or_else(|| Definition {
            name: "???".to_owned(),
            comment: None,
            equality: false,
            ordering: false,
            distance: false,
            kind: Unresolved::Base,
        });
        let Definition { name, comment, equality, ordering, distance, kind } = definition;
        let kind = if depth < DEPTH_MOST { self.kind(kind, depth) } else { Kind::Base };
        let (equality, ordering) = comparison(&kind, (equality, ordering));
        let distance = match &kind {
            Kind::Domain { base, .. } => base.distance,
            _ => distance,
        };
        let collation = Collation::default();
        let data_type = Arc::new(DataType {
            oid,
            name,
            kind,
            equality,
            ordering,
            distance,
            collation,
            comment,
        });
        self.resolved.insert(oid, data_type.clone());
        data_type
    }

    /// The kind, with its component types resolved.
    fn kind(&mut self, kind: Unresolved, depth: usize) -> Kind {
        match kind {
            Unresolved::Base => Kind::Base,
            Unresolved::Enum(labels) => Kind::Enum(labels),
            Unresolved::Array { element, delimiter } => {
                Kind::Array { element: self.resolve(element, depth + 1), delimiter }
            }
            Unresolved::Domain { base, base_name, not_null, checks } => {
                Kind::Domain { base: self.resolve(base, depth + 1), base_name, not_null, checks }
            }
            Unresolved::Composite(fields) => Kind::Composite(
                fields
                    .into_iter()
                    .map(|UnresolvedField { name, oid, type_name, collation }| {
                        let data_type = self.resolve(oid, depth + 1).with(collation);
                        Field { name, data_type, type_name }
                    })
                    .collect(),
            ),
            Unresolved::Range(subtype) => Kind::Range(self.resolve(subtype, depth + 1)),
            Unresolved::Multirange(range) => Kind::Multirange(self.resolve(range, depth + 1)),
        }
    }
}

/// Whether values can be compared for equality, and whether they have an order. `own` is what the type's own operator
/// classes say; classes for polymorphic types (anyarray, anyenum, …) apply if the component types have one.
fn comparison(kind: &Kind, own: (bool, bool)) -> (bool, bool) {
    match kind {
        Kind::Base => own,
        Kind::Enum(_) | Kind::Range(_) | Kind::Multirange(_) => (true, true),
        Kind::Array { element: part, .. } | Kind::Domain { base: part, .. } => {
            (part.equality, part.ordering)
        }
        Kind::Composite(fields) => (
            fields.iter().all(|field| field.data_type.equality),
            fields.iter().all(|field| field.data_type.ordering),
        ),
    }
}

fn definition(row: &Row) -> Result<Definition, PgError> {
    let inner = row.try_get("inner_type")?;
    let comparison: Option<bool> = row.try_get("comparison")?;
    Ok(Definition {
        name: row.text("name")?,
        comment: comment(row)?,
        equality: comparison.is_some(),
        ordering: comparison == Some(true),
        distance: row.try_get("distance")?,
        kind: match row.try_get("kind")? {
            // Otherwise as text: the driver asks for the labels of what it decodes.
            "enum" if row.are_legible("labels")? => Unresolved::Enum(row.texts("labels")?),
            "array" => Unresolved::Array {
                element: inner,
                delimiter: row.try_get::<_, &str>("delimiter")?.chars().next().unwrap_or(','),
            },
            "domain" => Unresolved::Domain {
                base: inner,
                base_name: row.text_or_null("base_name")?.unwrap_or_default(),
                not_null: row.try_get("not_null")?,
                checks: row.texts_or_null("checks")?.into_iter().flatten().collect(),
            },
            "composite" => Unresolved::Composite(fields(row)?),
            "range" => Unresolved::Range(inner),
            "multirange" => Unresolved::Multirange(inner),
            _ => Unresolved::Base,
        },
    })
}

/// The fields of a composite.
fn fields(row: &Row) -> Result<Vec<UnresolvedField>, PgError> {
    let names = row.texts("field_names")?;
    let types: Vec<u32> = row.try_get("field_types")?;
    let type_names = row.texts("field_type_names")?;
    let collations: Vec<u32> = row.try_get("field_collations")?;
    let deterministic: Vec<bool> = row.try_get("field_deterministic")?;
    let collations = collations.into_iter().zip(deterministic).map(|(oid, deterministic)| {
        if oid == 0 { Collation::default() } else { Collation { oid, deterministic } }
    });
    let fields = names.into_iter().zip(types).zip(type_names).zip(collations);
    let field =
        |(((name, oid), type_name), collation)| UnresolvedField { name, oid, type_name, collation };
    Ok(fields.map(field).collect())
}
