//! The operators of conditions, and the types that have them.

use std::fmt;

use super::{DataType, Kind, oid};

macro_rules! operators {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)*) => {
        /// An operator of a condition, as requests spell it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Operator { $($(#[$doc])* $name,)* }

        impl Operator {
            /// Every operator, in the order in which replies list them.
            pub const ALL: &'static [Operator] = &[$(Operator::$name,)*];

            /// The operator as requests and replies spell it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Operator::$name => $text,)* }
            }
        }
    };
}

operators! {
    /// Equal; with null: IS NULL.
    Eq => "eq",
    /// Not equal; with null: IS NOT NULL.
    Ne => "ne",
    /// Greater than.
    Gt => "gt",
    /// Greater than or equal.
    Gte => "gte",
    /// Less than.
    Lt => "lt",
    /// Less than or equal.
    Lte => "lte",
    /// Equal to one of a list.
    In => "in",
    /// Equal to none of a list.
    NotIn => "not_in",
    /// Null, or not null.
    IsNull => "is_null",
    /// Not equal, where null counts as a value: IS DISTINCT FROM.
    IsDistinctFrom => "is_distinct_from",
    /// Matches a pattern of `%` and `_`: LIKE.
    Like => "like",
    /// The same, ignoring case: ILIKE.
    Ilike => "ilike",
    /// Text that begins with this.
    StartsWith => "starts_with",
    /// Text that ends with this.
    EndsWith => "ends_with",
    /// Text that contains this; an array, range or JSON document that contains these elements.
    Contains => "contains",
    /// Is contained in the given array, range or JSON document.
    ContainedBy => "contained_by",
    /// Shares an element with the given array or range.
    Overlaps => "overlaps",
    /// A JSON document with this key, or with all of these.
    HasKey => "has_key",
    /// Matches a POSIX regular expression.
    Matches => "matches",
    /// The same, ignoring case.
    Imatches => "imatches",
    /// Full-text search, in the syntax of web search engines.
    Search => "search",
}

impl Operator {
    /// The operator with this spelling.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operator| operator.as_str() == name)
    }

    /// Whether the operator compares by order.
    pub fn orders(self) -> bool {
        matches!(self, Self::Gt | Self::Gte | Self::Lt | Self::Lte)
    }

    /// Whether every value meets the operator if its operand is empty.
    pub(crate) fn finds_nothing_everywhere(self) -> bool {
        matches!(
            self,
            Self::Contains
                | Self::ContainedBy
                | Self::HasKey
                | Self::StartsWith
                | Self::EndsWith
                | Self::Matches
                | Self::Imatches
        )
    }

    /// The operator that has this name in SQL or in document databases.
    pub fn foreign(name: &str) -> Option<Self> {
        match name {
            "=" | "==" | "equals" => Some(Self::Eq),
            "!=" | "<>" | "neq" | "_neq" => Some(Self::Ne),
            ">" => Some(Self::Gt),
            ">=" => Some(Self::Gte),
            "<" => Some(Self::Lt),
            "<=" => Some(Self::Lte),
            "~" | "regex" | "$regex" => Some(Self::Matches),
            "~*" => Some(Self::Imatches),
            "@@" => Some(Self::Search),
            "@>" => Some(Self::Contains),
            "<@" => Some(Self::ContainedBy),
            "&&" => Some(Self::Overlaps),
            "nin" | "$nin" | "_nin" => Some(Self::NotIn),
            "is" => Some(Self::IsNull),
            "has" | "includes" => Some(Self::Contains),
            "any" => Some(Self::In),
            _ => name.strip_prefix(['$', '_']).and_then(Self::parse),
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The families of types, by their operators beyond equality and order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Strings: patterns and parts.
    Text,
    /// `jsonb`: containment, keys and paths.
    Json,
    /// Arrays: containment and overlap.
    Array,
    /// Ranges and multiranges: containment and overlap.
    Range,
    /// `tsvector`: search.
    Search,
    /// `inet` and `cidr`: containment.
    Network,
    /// `ltree`: ancestors contain, descendants are contained.
    Tree,
    /// `hstore`: containment and keys.
    Pairs,
    /// `box`, `polygon` and `circle`: they contain points.
    Area,
    /// `point`: contained in such.
    Point,
    /// Everything else.
    Other,
}

impl DataType {
    /// The type's family.
    pub fn family(&self) -> Family {
        let base = self.base();
        match &base.kind {
            Kind::Array { .. } => Family::Array,
            Kind::Range(_) | Kind::Multirange(_) => Family::Range,
            // OIDs below 10,000 are the same in every database.
            _ => match base.oid {
                18 | 19 | 25 | 1042 | 1043 => Family::Text,
                3802 => Family::Json,
                3614 => Family::Search,
                650 | 869 => Family::Network,
                603 | 604 | 718 => Family::Area,
                600 => Family::Point,
                // Types of extensions have a different OID in each database.
                _ => match base.name.rsplit('.').next().unwrap_or_default() {
                    "citext" => Family::Text,
                    "ltree" => Family::Tree,
                    "hstore" => Family::Pairs,
                    _ => Family::Other,
                },
            },
        }
    }

    /// Whether values are JSON documents: `json` or `jsonb`.
    pub fn is_json(&self) -> bool {
        self.is_json_text() || self.base().oid == 3802
    }

    /// Whether values are `json`, which has no operators.
    pub(crate) fn is_json_text(&self) -> bool {
        self.base().oid == 114
    }

    /// Whether values are text: `text`, `varchar`, `char(n)`, `name`, `citext`.
    pub(crate) fn is_text(&self) -> bool {
        self.family() == Family::Text
    }

    /// Whether values are filled up with blanks: `char(n)`.
    pub(crate) fn is_padded(&self) -> bool {
        self.base().oid == oid::BPCHAR
    }

    /// Whether values that are no numbers have a least and a greatest one: points in time, and texts.
    pub(crate) fn has_ends(&self) -> bool {
        self.has_day() || self.is_text() && self.base().collation.deterministic
    }

    /// Whether the least and the greatest value come as `text`, because the type has no such aggregates of its own.
    pub(crate) fn ends_in_text(&self) -> bool {
        matches!(self.base().oid, oid::CHAR | oid::NAME | oid::VARCHAR)
    }

    /// Whether values are texts whose letter case does not count.
    pub(crate) fn is_citext(&self) -> bool {
        self.base().name.rsplit('.').next() == Some("citext")
    }

    /// The operators for conditions on a column of this type, in the order of [`Operator`].
    pub fn operators(&self) -> impl Iterator<Item = Operator> + use<> {
        use Operator::*;
        let (family, equality, ordering) = (self.family(), self.equality, self.ordering);
        let patterns = self.base().collation.deterministic;
        Operator::ALL.iter().copied().filter(move |operator| match operator {
            IsNull => true,
            Eq | Ne | In | NotIn | IsDistinctFrom => equality,
            Gt | Gte | Lt | Lte => ordering,
            Like | Ilike | StartsWith | EndsWith | Matches | Imatches => {
                family == Family::Text && patterns
            }
            // Arrays are compared element by element.
            Contains | ContainedBy | Overlaps if family == Family::Array => equality,
            // An extension installs these operators in the same schema as `=`.
            Contains | ContainedBy if matches!(family, Family::Tree | Family::Pairs) => equality,
            HasKey if family == Family::Pairs => equality,
            Contains if family == Family::Text => patterns,
            Contains => {
                matches!(family, Family::Json | Family::Range | Family::Network | Family::Area)
            }
            ContainedBy | Overlaps if family == Family::Network => true,
            ContainedBy => matches!(family, Family::Json | Family::Range | Family::Point),
            Overlaps => family == Family::Range,
            HasKey => family == Family::Json,
            Search => matches!(family, Family::Search | Family::Text),
        })
    }

    /// What a condition on a column of this type may have as keys: the operators, and `path` if there are parts to reach.
    pub(crate) fn condition_keys(&self) -> impl Iterator<Item = &'static str> + use<> {
        let path = (self.is_json() || self.has_parts()).then_some("path");
        self.operators().map(Operator::as_str).chain(path)
    }

    /// Whether [`DataType::operators`] has `operator`.
    pub(crate) fn has_operator(&self, operator: Operator) -> bool {
        self.operators().any(|offered| offered == operator)
    }
}
