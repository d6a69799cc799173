//! The operators of conditions, and which of them a type has.

use std::fmt;

use super::{DataType, Kind};

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
    /// Equal; null means IS NULL.
    Eq => "eq",
    /// Not equal; null means IS NOT NULL.
    Ne => "ne",
    /// Greater.
    Gt => "gt",
    /// Greater or equal.
    Gte => "gte",
    /// Less.
    Lt => "lt",
    /// Less or equal.
    Lte => "lte",
    /// Equal to one of a list.
    In => "in",
    /// Equal to none of a list.
    NotIn => "not_in",
    /// Null, or not null.
    IsNull => "is_null",
    /// Not equal, where null is a value like any other.
    IsDistinctFrom => "is_distinct_from",
    /// Matches a pattern of `%` and `_`.
    Like => "like",
    /// The same without regard to case.
    Ilike => "ilike",
    /// Text that begins so.
    StartsWith => "starts_with",
    /// Text that ends so.
    EndsWith => "ends_with",
    /// Text with this part; an array, range or JSON with these elements.
    Contains => "contains",
    /// All of it is in the given array, range or JSON.
    ContainedBy => "contained_by",
    /// Shares an element with the given array or range.
    Overlaps => "overlaps",
    /// JSON with this key, or with all of these.
    HasKey => "has_key",
    /// Matches a POSIX regular expression.
    Matches => "matches",
    /// The same without regard to case.
    Imatches => "imatches",
    /// Full-text search in the form of web search engines.
    Search => "search",
}

impl Operator {
    /// The operator that requests spell so.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operator| operator.as_str() == name)
    }

    /// Whether it asks which of two values comes first.
    pub fn orders(self) -> bool {
        matches!(self, Self::Gt | Self::Gte | Self::Lt | Self::Lte)
    }

    /// Whether every value has what is empty: all of it is looked for, or it is above all in a tree.
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

    /// The operator that other languages spell so: SQL, or a document database.
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

/// What a condition can do with values of a type, beyond equality and order.
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
    /// `box`, `polygon` and `circle`: points in them.
    Area,
    /// `point`: in such.
    Point,
    /// Everything else.
    Other,
}

impl DataType {
    /// The family that decides which operators beyond equality and order there are.
    pub fn family(&self) -> Family {
        let base = self.base();
        match &base.kind {
            Kind::Array { .. } => Family::Array,
            Kind::Range(_) | Kind::Multirange(_) => Family::Range,
            // OIDs below 10,000 are fixed for ever by PostgreSQL.
            _ => match base.oid {
                18 | 19 | 25 | 1042 | 1043 => Family::Text,
                3802 => Family::Json,
                3614 => Family::Search,
                650 | 869 => Family::Network,
                603 | 604 | 718 => Family::Area,
                600 => Family::Point,
                // Types of extensions have another OID in each database.
                _ => match base.name.rsplit('.').next().unwrap_or_default() {
                    "citext" => Family::Text,
                    "ltree" => Family::Tree,
                    "hstore" => Family::Pairs,
                    _ => Family::Other,
                },
            },
        }
    }

    /// Whether values are JSON documents, kept as text or taken apart.
    pub fn is_json(&self) -> bool {
        self.is_json_text() || self.base().oid == 3802
    }

    /// Whether they are kept as text: `json`, which has no operators.
    pub(crate) fn is_json_text(&self) -> bool {
        self.base().oid == 114
    }

    /// Whether values are text to PostgreSQL: `text`, `varchar`, `char(n)`, `name`, `citext`.
    pub(crate) fn is_text(&self) -> bool {
        self.family() == Family::Text
    }

    /// The operators that a condition on a column of this type may use, in order.
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
            // PostgreSQL compares the elements.
            Contains | ContainedBy | Overlaps if family == Family::Array => equality,
            // Those of an extension are found where its equality is.
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

    /// Whether [`DataType::operators`] has `operator`.
    pub(crate) fn has_operator(&self, operator: Operator) -> bool {
        self.operators().any(|offered| offered == operator)
    }
}
