//! Conditions as SQL expressions.

use sea_query::extension::postgres::{PgBinOper, PgFunc};
use sea_query::{BinOper, DynIden, Expr, ExprTrait, Func, IntoIden, Keyword, Value};

use super::compared::family;
use super::guard::Guard;
use super::join::Join;
use super::parameters::Parameters;
use super::{ALIASES, one, operand};
use crate::plan::{Comparison, Hop, Operand, Predicate, Quantifier, RowFilter, Words};
use crate::schema::{Column, DataType, Family, Kind, Operator, oid};

/// Builds the expressions of a statement, and numbers the aliases of related tables.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) parameters: Parameters,
    /// Related rows that expressions use, and that no query has joined yet.
    pub(super) joins: Vec<Join>,
    /// Values to check before any row is read.
    pub(super) guards: Vec<Guard>,
    /// Whether the query cannot have joins, so that related rows are looked up in subqueries.
    pub(super) apart: bool,
    /// Whether the query reads one row, for which related rows are looked up more cheaply than all at once.
    pub(super) single: bool,
    /// The row whose conditions may use totals that are joined, although they use no other joins.
    totalled: Option<DynIden>,
    aliases: usize,
}

/// TRUE or FALSE in the text.
pub(super) fn constant(value: bool) -> Expr {
    Expr::Constant(Value::Bool(Some(value)))
}

pub(super) fn all_of(parts: impl IntoIterator<Item = Expr>) -> Expr {
    parts.into_iter().reduce(Expr::and).unwrap_or_else(|| constant(true))
}

pub(super) fn any_of(parts: impl IntoIterator<Item = Expr>) -> Expr {
    parts.into_iter().reduce(Expr::or).unwrap_or_else(|| constant(false))
}

impl Conditions {
    /// For a query that cannot have joins.
    pub(super) fn apart() -> Self {
        Self { apart: true, ..Self::default() }
    }

    /// The condition on the table under `alias`; `None` if every row meets it.
    pub(super) fn expression(
        &mut self,
        predicate: &Predicate<'_>,
        alias: &DynIden,
    ) -> Option<Expr> {
        match predicate {
            Predicate::All(parts) => self.all(parts, alias),
            Predicate::Any(parts) => {
                let parts: Option<Vec<Expr>> =
                    parts.iter().map(|part| self.expression(part, alias)).collect();
                Some(any_of(parts?))
            }
            Predicate::Not(inner) => Some(match self.expression(inner, alias) {
                Some(inner) => inner.not(),
                None => constant(false),
            }),
            Predicate::Test { column, path, comparison } => {
                Some(self.test(column, path.as_ref(), comparison, alias))
            }
            Predicate::Computed { value, comparison } => Some(match value.tested_once() {
                Some(total) => self.total_meets(total, alias, |conditions, value| {
                    conditions.passes(value, &total.data_type(), false, comparison)
                }),
                None => {
                    let value = self.compared(value, alias);
                    self.passes(value, DataType::numeric(), false, comparison)
                }
            }),
            Predicate::Compared { left, operator, right } => {
                let family = family(left);
                let [left, right] = self.beside(left, *operator, right, alias);
                Some(binary(left, *operator, right, family))
            }
            Predicate::Related { hop, quantifier, filter } => {
                Some(self.exists(hop, *quantifier, filter, alias))
            }
        }
    }

    /// The condition on the rows of a request; `None` if every row meets it.
    pub(super) fn filter(&mut self, filter: &RowFilter<'_>, alias: &DynIden) -> Option<Expr> {
        self.all(filter.parts(), alias)
    }

    /// Builds conditions on the row under `alias`, to whose query joins are added afterwards.
    pub(super) fn before_joins<T>(
        &mut self,
        alias: &DynIden,
        build: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let outside = self.totalled.replace(alias.clone());
        let built = build(self);
        self.totalled = outside;
        built
    }

    /// Whether a total for the row under `alias` can be joined.
    pub(super) fn joins_totals(&self, alias: &DynIden) -> bool {
        !self.apart || self.totalled.as_ref() == Some(alias)
    }

    pub(super) fn all<'p, 'v: 'p>(
        &mut self,
        parts: impl IntoIterator<Item = &'p Predicate<'v>>,
        alias: &DynIden,
    ) -> Option<Expr> {
        let parts = parts.into_iter().filter_map(|part| self.expression(part, alias));
        parts.reduce(Expr::and)
    }

    fn test(
        &mut self,
        tested: &Column,
        path: Option<&Operand>,
        comparison: &Comparison,
        alias: &DynIden,
    ) -> Expr {
        let whole = operand(alias, tested);
        let left = match path {
            None => whole,
            Some(path) => {
                // JSON null is not a value either: replies show it like SQL NULL.
                let text = matches!(
                    comparison,
                    Comparison::Null(_)
                        | Comparison::Binary(
                            Operator::Like
                                | Operator::Ilike
                                | Operator::Matches
                                | Operator::Imatches,
                            _
                        )
                );
                self.at_path(whole, tested, path, if text { "#>>" } else { "#>" })
            }
        };
        self.passes(left, &tested.data_type, path.is_some(), comparison)
    }

    /// Whether a value of the type passes a test. With `member`, the value is a member of a JSON document.
    fn passes(
        &mut self,
        left: Expr,
        data_type: &DataType,
        member: bool,
        comparison: &Comparison,
    ) -> Expr {
        let mut pass = |part| self.passes(left.clone(), data_type, member, part);
        match comparison {
            Comparison::All(parts) => all_of(parts.iter().map(pass)),
            Comparison::Any(parts) => any_of(parts.iter().map(pass)),
            Comparison::Not(inner) => pass(inner).not(),
            Comparison::Null(wanted) if member => {
                if *wanted {
                    left.is_null()
                } else {
                    left.is_not_null()
                }
            }
            Comparison::Null(wanted) => null(left, data_type, *wanted),
            Comparison::Listed(negated, list) => {
                let list = self.parameters.add(list);
                let list = if member { list } else { typed(list, data_type, "[]") };
                if *negated { left.ne(PgFunc::all(list)) } else { left.eq(PgFunc::any(list)) }
            }
            Comparison::Search(words) => {
                let query = self.query(words);
                document(left, data_type, words).binary(PgBinOper::Matches, query)
            }
            Comparison::ContainsElement(type_name, operand) => {
                let element = self.parameters.add(operand).cast_as(type_name.clone());
                left.binary(PgBinOper::Contains, element)
            }
            Comparison::ContainsSome(type_name, operand) => {
                let mut range = || self.parameters.share(operand).cast_as(type_name.clone());
                let empty = Func::cust("pg_catalog.isempty").arg(range());
                left.binary(PgBinOper::Contains, Expr::case(Expr::expr(empty).not(), range()))
            }
            Comparison::ContainedBy(type_name, operand) => {
                let area = self.parameters.add(operand).cast_as(type_name.clone());
                left.binary(PgBinOper::Contained, area)
            }
            Comparison::Binary(operator, operand) => {
                if let Some(operator) = regular(*operator, !member, data_type) {
                    let pattern = self.parameters.shared(operand);
                    self.guard(Guard::Pattern(operator, pattern));
                }
                let right = self.parameters.share(operand);
                if !member {
                    let right = typed(right, data_type, "");
                    return binary(left, *operator, right, data_type.family());
                }
                let kinds = operator.orders().then(|| [kind(&left), kind(&right)]);
                let compared = binary(left, *operator, right, Family::Json);
                match kinds {
                    // The comparison of JSON values of different kinds is null.
                    Some([left, right]) => Expr::case(left.eq(right), compared).into(),
                    None => compared,
                }
            }
        }
    }

    /// A web search query as `tsquery`.
    pub(super) fn query(&mut self, words: &Words) -> Expr {
        let text = self.parameters.share(&words.text);
        let arguments = read_as(words).into_iter().chain([text]);
        Func::cust("pg_catalog.websearch_to_tsquery").args(arguments).into()
    }

    /// The JSON value at a path in a column.
    pub(super) fn at_path(
        &mut self,
        whole: Expr,
        column: &Column,
        path: &Operand,
        get: &'static str,
    ) -> Expr {
        let whole = in_jsonb(whole, &column.data_type);
        whole.binary(BinOper::Custom(get), self.parameters.share(path))
    }

    fn exists(
        &mut self,
        hop: &Hop<'_>,
        quantifier: Quantifier,
        filter: &Predicate<'_>,
        alias: &DynIden,
    ) -> Expr {
        let (mut rows, other) = self.related(hop, alias);
        rows.expr(one());
        let filter = self.expression(filter, &other);
        match quantifier {
            Quantifier::Every => {
                // A row for which the condition is null does not meet it.
                let fails = filter.map_or_else(
                    || constant(false),
                    |filter| filter.binary(BinOper::Custom("IS NOT"), constant(true)),
                );
                rows.and_where(fails);
                Expr::exists(rows).not()
            }
            quantifier => {
                if let Some(filter) = filter {
                    rows.and_where(filter);
                }
                let exists = Expr::exists(rows);
                if quantifier == Quantifier::None { exists.not() } else { exists }
            }
        }
    }

    /// A new alias for a related table.
    pub(super) fn alias(&mut self) -> DynIden {
        let alias = ALIASES.get(self.aliases).copied().map(IntoIden::into_iden);
        self.aliases += 1;
        alias.unwrap_or_else(|| format!("t{}", self.aliases).into_iden())
    }
}

/// A `json` value as `jsonb`, which has operators.
pub(super) fn in_jsonb(json: Expr, data_type: &DataType) -> Expr {
    match data_type.is_json_text() {
        true => json.cast_as("jsonb"),
        false => json,
    }
}

/// A parameter that is compared with a value of the type, with a cast where PostgreSQL would infer another type:
/// beside a composite it would infer `record`, which has no input function; beside `regclass` and the like, whose
/// operators are those of oid, a number; beside an array of `ltree`, an `ltree`.
pub(super) fn typed(parameter: Expr, data_type: &DataType, suffix: &str) -> Expr {
    let base = data_type.base();
    match base.kind {
        _ if oid::REGISTERED.contains(&base.oid) => {
            parameter.cast_as(format!("{}{suffix}", base.name))
        }
        Kind::Array { ref element, .. } if element.family() == Family::Tree => {
            parameter.cast_as(format!("{}{suffix}", base.name))
        }
        Kind::Composite(_) => parameter.cast_as(format!("{}{suffix}", base.name)),
        _ => parameter,
    }
}

/// A value as an argument of an operator or function. It is cast, because PostgreSQL finds none for a domain over an
/// enum.
pub(super) fn taken(value: Expr, data_type: &DataType) -> Expr {
    match (&data_type.kind, data_type.base()) {
        (Kind::Domain { .. }, DataType { kind: Kind::Enum(_), name, .. }) => {
            value.cast_as(name.clone())
        }
        _ => value,
    }
}

/// Whether a value of the type is null or, unless `wanted`, is not null. `IS NULL` would test the fields of a
/// composite.
pub(super) fn null(value: Expr, data_type: &DataType, wanted: bool) -> Expr {
    match (&data_type.base().kind, wanted) {
        (Kind::Composite(_), _) => {
            let operator = if wanted { "IS NOT DISTINCT FROM" } else { "IS DISTINCT FROM" };
            value.binary(BinOper::Custom(operator), Expr::Keyword(Keyword::Null))
        }
        (_, true) => value.is_null(),
        (_, false) => value.is_not_null(),
    }
}

/// The `tsvector` in which a search looks for the words.
pub(super) fn document(value: Expr, data_type: &DataType, words: &Words) -> Expr {
    match data_type.family() {
        Family::Search => value,
        _ => {
            let arguments = read_as(words).into_iter().chain([value]);
            Func::cust("pg_catalog.to_tsvector").args(arguments).into()
        }
    }
}

/// The text search configuration, if it is not the database's default. It is a literal, so that an index on the same
/// expression can be used.
fn read_as(words: &Words) -> Option<Expr> {
    let language = words.language.as_ref()?;
    Some(Expr::Constant(language.identifier.clone().into()).cast_as("regconfig"))
}

/// The operator for a regular expression. That of `citext` ignores case.
fn regular(operator: Operator, whole: bool, data_type: &DataType) -> Option<PgBinOper> {
    let folds = || whole && data_type.base().name.ends_with("citext");
    match operator {
        Operator::Matches if !folds() => Some(PgBinOper::Regex),
        Operator::Matches | Operator::Imatches => Some(PgBinOper::RegexCaseInsensitive),
        _ => None,
    }
}

/// The kind of a JSON value. Kinds are ordered, too: every string is less than every number.
fn kind(json: &Expr) -> Expr {
    Func::cust("pg_catalog.jsonb_typeof").arg(json.clone()).into()
}

fn binary(left: Expr, operator: Operator, right: Expr, family: Family) -> Expr {
    let network = family == Family::Network;
    let custom =
        |left: Expr, sign: &'static str, right: Expr| left.binary(BinOper::Custom(sign), right);
    match operator {
        Operator::Eq => left.eq(right),
        Operator::Ne => left.ne(right),
        Operator::Gt => left.gt(right),
        Operator::Gte => left.gte(right),
        Operator::Lt => left.lt(right),
        Operator::Lte => left.lte(right),
        Operator::IsDistinctFrom => custom(left, "IS DISTINCT FROM", right),
        Operator::Like => left.binary(BinOper::Like, right),
        Operator::Ilike => left.binary(PgBinOper::ILike, right),
        Operator::Matches => left.binary(PgBinOper::Regex, right),
        Operator::Imatches => left.binary(PgBinOper::RegexCaseInsensitive, right),
        Operator::Contains if network => custom(left, ">>=", right),
        Operator::ContainedBy if network => custom(left, "<<=", right),
        Operator::Contains => left.binary(PgBinOper::Contains, right),
        Operator::ContainedBy => left.binary(PgBinOper::Contained, right),
        Operator::Overlaps => left.binary(PgBinOper::Overlap, right),
        Operator::HasKey => custom(left, "?&", right),
        // These are planned as other predicates, the end of a text only where it is not char(n).
        Operator::In | Operator::NotIn | Operator::IsNull | Operator::Search => left.eq(right),
        Operator::StartsWith => left.binary(BinOper::Like, right),
        // A cast to text drops the blanks of char(n).
        Operator::EndsWith => left.cast_as("text").binary(BinOper::Like, right),
    }
}
