//! The types of columns. They are resolved: a domain holds its base type, an array its element type.

use std::sync::{Arc, LazyLock};

/// A PostgreSQL type as the catalogue describes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DataType {
    /// The type's OID.
    pub oid: u32,
    /// The name from `format_type`, quoted where necessary: `integer`, `public.mood`, `text[]`. It includes the
    /// schema unless the type is built in, so it means the same under every `search_path`.
    pub name: String,
    /// The kind of type, with the types that it consists of.
    pub kind: Kind,
    /// Whether the type (a domain's base) has a default hash or btree operator class, and so `=`.
    pub equality: bool,
    /// Whether the type (a domain's base) has a default btree operator class, and so an order.
    pub ordering: bool,
    /// Whether the type (a domain's base) has the distance operator `<->`.
    pub distance: bool,
    /// The collation of values that are text (a domain's base): that of the column.
    pub collation: Collation,
    /// The COMMENT on a user-defined type, shortened and without control characters. It is text that others wrote.
    pub comment: Option<String>,
}

/// A collation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Collation {
    /// The OID. 100 is the database's default collation.
    pub oid: u32,
    /// Whether texts are equal only if their bytes are. PostgreSQL matches no patterns under other collations.
    pub deterministic: bool,
}

impl Default for Collation {
    fn default() -> Self {
        Self { oid: 100, deterministic: true }
    }
}

impl Collation {
    /// Whether PostgreSQL can compare a text under this collation with one under the other. If they differ, it does
    /// not choose one.
    pub(crate) fn goes_with(self, other: Self) -> bool {
        self == other || [self, other].contains(&Self::default())
    }
}

/// The kind of a [`DataType`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A scalar type, built in or from an extension.
    Base,
    /// An enum, with its labels in order.
    Enum(Vec<String>),
    /// An array, of any number of dimensions.
    Array {
        /// The type of the elements.
        element: Arc<DataType>,
        /// The delimiter between elements in the text form: `;` for `box`, `,` for all others.
        delimiter: char,
    },
    /// A domain.
    Domain {
        /// The type that the domain restricts, which may itself be a domain.
        base: Arc<DataType>,
        /// That type's name with its modifiers: `numeric(12,2)`.
        base_name: String,
        /// Whether the domain refuses null.
        not_null: bool,
        /// The CHECK constraints, as `pg_get_constraintdef` prints them.
        checks: Vec<String>,
    },
    /// A composite type.
    Composite(Vec<Field>),
    /// A range of the subtype.
    Range(Arc<DataType>),
    /// A multirange of the range type.
    Multirange(Arc<DataType>),
}

/// A field of a composite type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The field's name.
    pub name: String,
    /// The field's type.
    pub data_type: Arc<DataType>,
    /// That type's name with its modifiers: `varchar(20)`.
    pub type_name: String,
}

impl DataType {
    /// The type beneath all domains, which is the type of values on the wire.
    pub fn base(&self) -> &DataType {
        match &self.kind {
            Kind::Domain { base, .. } => base.base(),
            _ => self,
        }
    }

    /// [`DataType::base`] of a shared type.
    pub(crate) fn shared_base(self: &Arc<Self>) -> Arc<Self> {
        match &self.kind {
            Kind::Domain { base, .. } => base.shared_base(),
            _ => Arc::clone(self),
        }
    }

    /// [`DataType::collated`] of a shared type. Most types are returned unchanged.
    pub(super) fn with(self: Arc<Self>, collation: Collation) -> Arc<Self> {
        match collation == Collation::default() {
            true => self,
            false => Arc::new(self.collated(collation)),
        }
    }

    /// The type with the collation of a column.
    pub(super) fn collated(&self, collation: Collation) -> Self {
        let mut data_type = Self { collation, ..self.clone() };
        if let Kind::Domain { base, .. } = &mut data_type.kind {
            *base = Arc::new(base.collated(collation));
        }
        data_type
    }

    /// The labels of an enum, or of a domain over one.
    pub fn labels(&self) -> Option<&[String]> {
        match &self.base().kind {
            Kind::Enum(labels) => Some(labels),
            _ => None,
        }
    }

    /// The element type of an array or of a domain over one; otherwise the type itself.
    pub fn item(&self) -> &DataType {
        match &self.base().kind {
            Kind::Array { element, .. } => element,
            _ => self,
        }
    }

    /// The range type of a multirange.
    pub fn range(&self) -> Option<&DataType> {
        match &self.base().kind {
            Kind::Multirange(range) => Some(range),
            _ => None,
        }
    }

    /// The subtype of a range or multirange.
    pub fn bound(&self) -> Option<&DataType> {
        match &self.base().kind {
            Kind::Range(bound) => Some(bound),
            Kind::Multirange(range) => range.bound(),
            _ => None,
        }
    }

    /// The element type of an array, with the array's collation; `None` for other types.
    pub fn element(&self) -> Option<Arc<DataType>> {
        let base = self.base();
        match &base.kind {
            Kind::Array { element, .. } => Some(Arc::new(element.collated(base.collation))),
            _ => None,
        }
    }

    /// The CHECK constraints of this domain and of the domains beneath it.
    pub fn rules(&self) -> Vec<&str> {
        match &self.kind {
            Kind::Domain { base, checks, .. } => {
                checks.iter().map(String::as_str).chain(base.rules()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether this domain, or one beneath it, refuses null.
    pub(crate) fn refuses_null(&self) -> bool {
        match &self.kind {
            Kind::Domain { base, not_null, .. } => *not_null || base.refuses_null(),
            _ => false,
        }
    }
}

/// Tests for built-in types, whose OIDs never change.
impl DataType {
    /// Whether values are `jsonb`.
    pub(crate) fn is_jsonb(&self) -> bool {
        self.base().oid == 3802
    }

    /// Whether values are integers or `numeric`.
    pub(crate) fn is_exact(&self) -> bool {
        matches!(self.base().oid, 20 | 21 | 23 | 1700)
    }

    /// Whether values are numbers. Those of `money` are not.
    pub fn is_number(&self) -> bool {
        self.is_exact() || self.is_float()
    }

    /// Whether values are `real` or `double precision`.
    pub(crate) fn is_float(&self) -> bool {
        matches!(self.base().oid, 700 | 701)
    }

    /// Whether values are geometric: points, lines, areas.
    pub(crate) fn is_planar(&self) -> bool {
        matches!(self.base().oid, 600..=604 | 628 | 718)
    }

    /// Whether values are numbers or `money`.
    pub(crate) fn is_amount(&self) -> bool {
        self.is_number() || self.base().oid == 790
    }

    /// Whether values are `timestamp` or `timestamptz`.
    pub(crate) fn is_timestamp(&self) -> bool {
        self.is_zoned() || self.base().oid == 1114
    }

    /// Whether values are `timestamptz`: points in time that do not depend on a time zone.
    pub(crate) fn is_zoned(&self) -> bool {
        self.base().oid == 1184
    }

    /// Whether values are `date`.
    pub(crate) fn is_date(&self) -> bool {
        self.base().oid == 1082
    }

    /// Whether values contain a date: timestamps and `date`.
    pub(crate) fn has_day(&self) -> bool {
        self.is_timestamp() || self.is_date()
    }

    /// Whether values are `interval`.
    pub(crate) fn is_interval(&self) -> bool {
        self.base().oid == 1186
    }

    /// Whether values contain a date, a time of day, or both.
    pub fn is_moment(&self) -> bool {
        self.has_day() || matches!(self.base().oid, 1083 | 1266)
    }
}

impl DataType {
    /// PostgreSQL's `boolean`.
    pub fn boolean() -> &'static Arc<Self> {
        static BOOLEAN: LazyLock<Arc<DataType>> = LazyLock::new(|| built_in(16, "boolean"));
        &BOOLEAN
    }

    /// PostgreSQL's `bigint`.
    pub fn bigint() -> &'static Arc<Self> {
        static BIGINT: LazyLock<Arc<DataType>> = LazyLock::new(|| built_in(20, "bigint"));
        &BIGINT
    }

    /// PostgreSQL's `numeric`.
    pub fn numeric() -> &'static Arc<Self> {
        static NUMERIC: LazyLock<Arc<DataType>> = LazyLock::new(|| built_in(1700, "numeric"));
        &NUMERIC
    }

    /// PostgreSQL's `date`.
    pub fn date() -> &'static Arc<Self> {
        static DATE: LazyLock<Arc<DataType>> = LazyLock::new(|| built_in(1082, "date"));
        &DATE
    }

    /// PostgreSQL's `timestamp without time zone`.
    pub fn timestamp() -> &'static Arc<Self> {
        static TIMESTAMP: LazyLock<Arc<DataType>> =
            LazyLock::new(|| built_in(1114, "timestamp without time zone"));
        &TIMESTAMP
    }

    /// PostgreSQL's `timestamp with time zone`.
    pub fn timestamptz() -> &'static Arc<Self> {
        static TIMESTAMPTZ: LazyLock<Arc<DataType>> =
            LazyLock::new(|| built_in(1184, "timestamp with time zone"));
        &TIMESTAMPTZ
    }

    /// PostgreSQL's `double precision`.
    pub fn double() -> &'static Arc<Self> {
        static DOUBLE: LazyLock<Arc<DataType>> =
            LazyLock::new(|| built_in(701, "double precision"));
        &DOUBLE
    }

    /// PostgreSQL's `text`.
    pub fn text() -> &'static Arc<Self> {
        static TEXT: LazyLock<Arc<DataType>> = LazyLock::new(|| built_in(25, "text"));
        &TEXT
    }

    /// PostgreSQL's `interval`.
    pub fn interval() -> &'static Arc<Self> {
        static INTERVAL: LazyLock<Arc<DataType>> = LazyLock::new(|| built_in(1186, "interval"));
        &INTERVAL
    }

    /// PostgreSQL's `inet`.
    pub fn inet() -> &'static Arc<Self> {
        static INET: LazyLock<Arc<DataType>> = LazyLock::new(|| built_in(869, "inet"));
        &INET
    }

    /// PostgreSQL's `jsonb`.
    pub fn jsonb() -> &'static Arc<Self> {
        static JSONB: LazyLock<Arc<DataType>> = LazyLock::new(|| built_in(3802, "jsonb"));
        &JSONB
    }

    /// PostgreSQL's `point`.
    pub fn point() -> &'static Self {
        static POINT: LazyLock<Arc<DataType>> = LazyLock::new(|| built_in(600, "point"));
        &POINT
    }

    /// PostgreSQL's `box`.
    pub(crate) fn rectangle() -> &'static Self {
        static BOX: LazyLock<Arc<DataType>> = LazyLock::new(|| built_in(603, "box"));
        &BOX
    }

    /// PostgreSQL's `polygon`.
    pub fn polygon() -> &'static Self {
        static POLYGON: LazyLock<Arc<DataType>> = LazyLock::new(|| built_in(604, "polygon"));
        &POLYGON
    }

    /// PostgreSQL's `circle`.
    pub fn circle() -> &'static Self {
        static CIRCLE: LazyLock<Arc<DataType>> = LazyLock::new(|| built_in(718, "circle"));
        &CIRCLE
    }

    /// Arrays of `element`, for parameters that are lists of a column's values. The OID is 0.
    pub(crate) fn list_of(element: &Arc<DataType>) -> Self {
        Self {
            oid: 0,
            name: format!("{}[]", element.name),
            equality: element.equality,
            ordering: element.ordering,
            distance: false,
            collation: Collation::default(),
            comment: None,
            kind: Kind::Array { element: Arc::clone(element), delimiter: ',' },
        }
    }
    /// PostgreSQL's `text[]`; the OID is 0.
    pub fn texts() -> &'static Self {
        static TEXTS: LazyLock<DataType> = LazyLock::new(|| DataType::list_of(DataType::text()));
        &TEXTS
    }
}

/// A built-in scalar type, which has `=` and an order.
fn built_in(oid: u32, name: &str) -> Arc<DataType> {
    Arc::new(DataType {
        oid,
        name: name.to_owned(),
        kind: Kind::Base,
        equality: true,
        ordering: true,
        distance: false,
        collation: Collation::default(),
        comment: None,
    })
}
