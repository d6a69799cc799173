//! Related rows to return with each row.

use serde_json::{Map, Value};

use super::room::Room;
use crate::error::{Code, Error, Result, below, step};
use crate::plan::hop::ambiguous;
use crate::plan::order::sort::make_total;
use crate::plan::{Hop, Node, Predicate, Scope, Shown, Sort, filter};
use crate::policy::TableView;
use crate::request::{Related, check_members, parse_ref};
use crate::schema::RelationKind;

/// Related rows that are returned with each row.
#[derive(Debug, Clone)]
pub struct Include<'v> {
    /// The member of the row that contains them: the relation's name as in the request.
    pub name: &'v str,
    /// The relation's unambiguous name.
    pub(in crate::plan) unambiguous: &'v str,
    /// The member that says whether they were truncated.
    pub mark: String,
    /// The step to them.
    pub hop: Hop<'v>,
    /// What to return of each of them.
    pub columns: Vec<Shown<'v>>,
    /// The condition they must meet.
    pub filter: Predicate<'v>,
    /// Their order; it ends with their key.
    pub order: Vec<Sort<'v>>,
    /// The maximum number of them.
    pub limit: u64,
    /// Whether they are only counted.
    pub counted: bool,
    /// Further rows related to them.
    pub includes: Vec<Include<'v>>,
    /// How long they may be.
    pub room: Room,
}

/// The number of rows to which the relations on the path may lead from one row.
#[derive(Debug, Clone, Copy)]
struct Reach {
    rows: u64,
    /// Whether several rows may be related to the same one. After such a step, rows can be reached several times, and
    /// only limits bound their number.
    again: bool,
}

const MEMBERS: [&str; 7] =
    ["columns", "where", "order_by", "limit", "include", "count", "archived"];

impl<'v> Scope<'v> {
    /// The related rows of an `include` object. `names` are the other members of the row.
    ///
    /// # Errors
    ///
    /// `unknown_relation`, `ambiguous_relation`, `limit_exceeded`, and errors inside.
    pub fn includes(
        &self,
        table: &'v TableView,
        names: &[&str],
        include: Option<&Map<String, Value>>,
    ) -> Result<Vec<Include<'v>>> {
        let mut left = self.view.limits.max_includes;
        let reach = Reach { rows: 1, again: false };
        let mut includes =
            self.includes_within(table, names, include, "/include", reach, &mut left)?;
        Room::share(&mut includes, &self.view.limits);
        Ok(includes)
    }

    /// The related rows returned with written rows.
    ///
    /// # Errors
    ///
    /// As [`Scope::includes`], and `invalid_value` if the table has no key.
    pub(crate) fn written_includes(
        &self,
        table: &'v TableView,
        names: &[&str],
        include: Option<&Map<String, Value>>,
    ) -> Result<Vec<Include<'v>>> {
        let includes = self.includes(table, names, include)?;
        if !includes.is_empty() && table.row_key().is_none() {
            return Err(Error::new(
                Code::InvalidValue,
                format!("{} has no key by which to find what is related", table.name()),
            )
            .at("/include"));
        }
        self.few_joined(includes)
    }

    fn includes_within(
        &self,
        table: &'v TableView,
        names: &[&str],
        include: Option<&Map<String, Value>>,
        at: &str,
        reach: Reach,
        left: &mut usize,
    ) -> Result<Vec<Include<'v>>> {
        let members = include.into_iter().flatten();
        let mut taken: Vec<&str> = Vec::new();
        members
            .filter(|(_, options)| **options != Value::Bool(false))
            .map(|(name, options)| {
                let at = below(at, name);
                *left = left.checked_sub(1).ok_or_else(|| {
                    let most = self.view.limits.max_includes;
                    let message = format!("a request may include at most {most} relations");
                    Error::exceeded("max_includes", message).at(&at)
                })?;
                let mut include = self.include(table, name, options, &at, reach, left)?;
                if let Some((_, key)) = table.table.column(name).filter(|_| include.name != *name) {
                    // It is requested by the name of its foreign-key column, which the row may contain, too.
                    let taken = names.contains(&name.as_str());
                    let other = table.relation_name(include.hop.relation);
                    include.name = if taken { other } else { &key.name };
                }
                apart(names, &include).map_err(|error| error.at(&at))?;
                if taken.contains(&include.name) {
                    return Err(ambiguous(name, &[include.unambiguous]).at(at));
                }
                taken.push(include.name);
                Ok(include)
            })
            .collect()
    }

    fn include(
        &self,
        table: &'v TableView,
        name: &str,
        options: &Value,
        at: &str,
        reach: Reach,
        left: &mut usize,
    ) -> Result<Include<'v>> {
        let relation = self.relation(table, name).map_err(|error| match name.split_once('.') {
            Some((first, rest)) if self.relation(table, first).is_ok() => {
                error.at(at).hint(format!("{{{first:?}: {{\"include\": {{{rest:?}: true}}}}}}"))
            }
            _ => error.at(at),
        })?;
        let to_one = relation.kind == RelationKind::ToOne;
        let inner = asked(options, to_one).map_err(|error| error.inside(at))?;
        let archived = inner.archived.unwrap_or(self.related);
        let hop = self.hop_to(table, relation, archived).map_err(|error| error.inside(at))?;
        let scope = self.among(inner.archived);
        let counted = inner.count.unwrap_or_default();
        let target = hop.table;
        let wanted = match lent(options, "where").or(inner.filter.as_ref()) {
            Some(object) => filter(&scope, target, object, &below(at, "where"))?,
            None => Predicate::always(),
        };
        let limits = &self.view.limits;
        let sorted = inner.order_by.as_deref();
        let columns = scope.shown(target, inner.columns.as_deref(), &below(at, "columns"))?;
        let mut order = scope.order(target, sorted, &columns, &format!("{at}/order_by"))?;
        let hidden = [Node::Hop(&hop), Node::Condition(target, &wanted)];
        let hidden = hidden.into_iter().any(Node::is_found_by_hidden);
        make_total(target, hidden, &mut order);
        let limit = inner.limit.unwrap_or(limits.default_rows).min(limits.max_rows);
        let rows = if to_one || counted { 1 } else { limit.max(1) };
        let rows = self.few_related(reach, rows).map_err(|error| error.at(at))?;
        let reach = Reach { rows, again: reach.again || to_one || hop.junction.is_some() };
        let names: Vec<&str> = columns.iter().map(|shown| shown.name(target)).collect();
        let within = below(at, "include");
        let inner = lent(options, "include").or(inner.include.as_ref());
        let includes = scope.includes_within(target, &names, inner, &within, reach, left)?;
        Ok(Include {
            name: relation.called(name),
            unambiguous: &relation.unambiguous,
            mark: format!("{name}_truncated"),
            columns,
            filter: wanted,
            order,
            limit,
            counted,
            includes,
            hop,
            room: Room::Each(limits.max_reply_bytes),
        })
    }

    /// The number of rows after this step, for each row. Refuses if it is too large.
    fn few_related(&self, reach: Reach, rows: u64) -> Result<u64> {
        let most = self.view.limits.max_related;
        let rows = reach.rows.saturating_mul(rows);
        if !reach.again || rows <= most {
            return Ok(rows);
        }
        let message = format!(
            "the relations on the way here may come to {rows} rows for one row, and {most} at most"
        );
        Err(Error::exceeded("max_related", message)
            .hint("give those above and below smaller limits, or ask for fewer levels"))
    }
}

/// A member that is a condition or contains further includes. It is borrowed: copied at each level, it would be
/// copied as often as its depth.
fn lent<'r>(options: &'r Value, name: &str) -> Option<&'r Map<String, Value>> {
    options.get(name).filter(|_| ["where", "include"].contains(&name))?.as_object()
}

/// The options of a relation: `true`, or an object with compatible members.
fn asked(options: &Value, to_one: bool) -> Result<Related> {
    let members = match options {
        Value::Bool(true) => return Ok(Related::default()),
        Value::Object(members) => members,
        _ => {
            let error = Error::new(Code::InvalidValue, "expected true or an object").at("");
            let names = options.as_array().filter(|items| items.iter().all(Value::is_string));
            return Err(match names {
                Some(_) => error.hint(format!("{{\"columns\": {options}}}")),
                None => {
                    error.hint("{\"columns\": [\"sku\"], \"order_by\": [\"-qty\"], \"limit\": 5}")
                }
            });
        }
    };
    let fits = |member: &&str| !to_one || !["order_by", "limit", "count"].contains(member);
    let known = MEMBERS.into_iter().filter(fits);
    check_members(members, known, "an included relation here takes no")?;
    // Parsed like the arguments of a select, which have the same types.
    let asked: Related =
        parse_ref(members.iter().filter(|(name, _)| lent(options, name).is_none()))?;
    let idle = |member: &&&str| members.contains_key(**member);
    match ["columns", "order_by", "limit", "include"].iter().find(idle) {
        Some(member) if asked.count == Some(true) => Err(Error::new(
            Code::InvalidValue,
            format!("rows that are only counted have no {member}"),
        )
        .at(step(member))
        .hint("leave out count for the rows themselves")),
        _ => Ok(asked),
    }
}

/// Refuses a relation whose name is that of a returned column.
fn apart(names: &[&str], include: &Include<'_>) -> Result<()> {
    let taken = |member: &str| names.contains(&member);
    if !taken(include.name) && !taken(&include.mark) {
        return Ok(());
    }
    let error = Error::new(
        Code::AmbiguousRelation,
        format!("{:?} is a column of the row, too", include.name),
    );
    Err(match taken(include.unambiguous) {
        true => error.hint("leave that column out of columns"),
        false => error
            .hint("include the relation by its other name, or leave that column out of columns")
            .allowed([include.unambiguous]),
    })
}
