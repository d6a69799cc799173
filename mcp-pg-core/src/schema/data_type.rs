//! The types of columns, resolved: a domain knows its base, an array its element.

use std::sync::{Arc, LazyLock};

/// A PostgreSQL type as the catalogue describes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DataType {
    /// The type's OID: its identity.
    pub oid: u32,
    /// The name that `format_type` gives, quoted where it must be: `integer`, `public.mood`, `text[]`.
    /// Any but a built-in type's has its schema, so it means the same under every `search_path`, in a cast too.
    pub name: String,
    /// What kind of type it is, and of what it is made.
    pub kind: Kind,
    /// Whether the type (a domain's base) has a default hash or btree operator class, and so `=`.
    pub equality: bool,
    /// Whether the type (a domain's base) has a default btree operator class, and so an order.
    pub ordering: bool,
    /// Whether `<->` tells how far two values of the type (a domain's base) are apart.
    pub distance: bool,
    /// How values that are text (a domain's base) are compared: as the column says that has the type.
    pub collation: Collation,
    /// The COMMENT on a type of one's own, bounded and without control characters: other people's text.
    pub comment: Option<String>,
}

/// A collation of PostgreSQL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Collation {
    /// Its OID; 100, which is fixed for ever, is that of the database.
    pub oid: u32,
    /// Whether no two texts count as equal: else PostgreSQL matches no patterns.
    pub deterministic: bool,
}

impl Default for Collation {
    fn default() -> Self {
        Self { oid: 100, deterministic: true }
    }
}

impl Collation {
    /// Whether PostgreSQL compares a text under this with one under the other: it does not choose between two.
    pub(crate) fn goes_with(self, other: Self) -> bool {
        self == other || [self, other].contains(&Self::default())
    }
}

/// What a [`DataType`] is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A type of its own, built in or from an extension.
    Base,
    /// One of some labels, in their order.
    Enum(Vec<String>),
    /// An array of the element type, of any number of dimensions.
    Array {
        /// The type of the elements.
        element: Arc<DataType>,
        /// The character between elements in the text form: `,` for all but `box`.
        delimiter: char,
    },
    /// Another type under a name, with rules.
    Domain {
        /// The type that the domain restricts; may itself be a domain.
        base: Arc<DataType>,
        /// Whether the domain refuses null.
        not_null: bool,
        /// The rules, as `pg_get_constraintdef` prints them.
        checks: Vec<String>,
    },
    /// A row of named fields.
    Composite(Vec<Field>),
    /// A range over the subtype.
    Range(Arc<DataType>),
    /// Several ranges; the type is that of one range.
    Multirange(Arc<DataType>),
}

/// A field of a composite type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The field's name.
    pub name: String,
    /// The field's type.
    pub data_type: Arc<DataType>,
}

impl DataType {
    /// The type beneath all domains: the one that values have on the wire.
    pub fn base(&self) -> &DataType {
        match &self.kind {
            Kind::Domain { base, .. } => base.base(),
            _ => self,
        }
    }

    /// [`DataType::base`] of a type that is shared.
    pub(crate) fn shared_base(self: &Arc<Self>) -> Arc<Self> {
        match &self.kind {
            Kind::Domain { base, .. } => base.shared_base(),
            _ => Arc::clone(self),
        }
    }

    /// [`DataType::collated`] of a type that is shared, as it is for most.
    pub(super) fn with(self: Arc<Self>, collation: Collation) -> Arc<Self> {
        match collation == Collation::default() {
            true => self,
            false => Arc::new(self.collated(collation)),
        }
    }

    /// The type of a column with this collation.
    pub(super) fn collated(&self, collation: Collation) -> Self {
        let mut data_type = Self { collation, ..self.clone() };
        if let Kind::Domain { base, .. } = &mut data_type.kind {
            *base = Arc::new(base.collated(collation));
        }
        data_type
    }

    /// The labels, if this is an enum or a domain over one.
    pub fn labels(&self) -> Option<&[String]> {
        match &self.base().kind {
            Kind::Enum(labels) => Some(labels),
            _ => None,
        }
    }

    /// The type of the items of an array, else this one; domains over an array are looked through.
    pub fn item(&self) -> &DataType {
        match &self.base().kind {
            Kind::Array { element, .. } => element,
            _ => self,
        }
    }

    /// The type of one range of several, if this is a multirange.
    pub fn range(&self) -> Option<&DataType> {
        match &self.base().kind {
            Kind::Multirange(range) => Some(range),
            _ => None,
        }
    }

    /// The type of what a range or multirange holds.
    pub fn bound(&self) -> Option<&DataType> {
        match &self.base().kind {
            Kind::Range(bound) => Some(bound),
            Kind::Multirange(range) => range.bound(),
            _ => None,
        }
    }

    /// The type of the items of an array as a type of its own: they are compared as the array is.
    pub fn element(&self) -> Option<Arc<DataType>> {
        let base = self.base();
        match &base.kind {
            Kind::Array { element, .. } => Some(Arc::new(element.collated(base.collation))),
            _ => None,
        }
    }

    /// The checks of this domain and of those beneath it.
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

/// What values of PostgreSQL's own types are; their OIDs are fixed for ever.
impl DataType {
    /// Whether they are JSON in its binary form, `jsonb`.
    pub(crate) fn is_jsonb(&self) -> bool {
        self.base().oid == 3802
    }

    /// Whether they are integers or `numeric`.
    pub(crate) fn is_exact(&self) -> bool {
        matches!(self.base().oid, 20 | 21 | 23 | 1700)
    }

    /// Whether they are numbers; amounts of `money` are not.
    pub fn is_number(&self) -> bool {
        self.is_exact() || self.is_float()
    }

    /// Whether they are numbers of limited precision: `real` or `double precision`.
    pub(crate) fn is_float(&self) -> bool {
        matches!(self.base().oid, 700 | 701)
    }

    /// Whether they lie in the plane: points, lines, areas.
    pub(crate) fn is_planar(&self) -> bool {
        matches!(self.base().oid, 600..=604 | 628 | 718)
    }

    /// Whether they are numbers, or amounts of `money`.
    pub(crate) fn is_amount(&self) -> bool {
        self.is_number() || self.base().oid == 790
    }

    /// Whether they are `timestamp` or `timestamptz`.
    pub(crate) fn is_timestamp(&self) -> bool {
        self.is_zoned() || self.base().oid == 1114
    }

    /// Whether they are points in time that are the same anywhere: `timestamptz`.
    pub(crate) fn is_zoned(&self) -> bool {
        self.base().oid == 1184
    }

    /// Whether they are days: `date`.
    pub(crate) fn is_date(&self) -> bool {
        self.base().oid == 1082
    }

    /// Whether they have a day: timestamps and `date`.
    pub(crate) fn has_day(&self) -> bool {
        self.is_timestamp() || self.is_date()
    }

    /// Whether they are spans of time: `interval`.
    pub(crate) fn is_interval(&self) -> bool {
        self.base().oid == 1186
    }

    /// Whether they have a day, a time of day, or both.
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

    /// Arrays of `element`, for values that are lists of a column's type; it has no OID of its own.
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
    /// PostgreSQL's `text[]`, without its OID.
    pub fn texts() -> &'static Self {
        static TEXTS: LazyLock<DataType> = LazyLock::new(|| DataType::list_of(DataType::text()));
        &TEXTS
    }
}

/// A type that is asked for again and again, to be made once.
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
