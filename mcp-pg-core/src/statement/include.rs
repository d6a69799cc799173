//! Included relations: correlated subqueries whose rows PostgreSQL returns as records.

use sea_query::{
    BinOper, DynIden, Expr, ExprTrait, Func, NullOrdering, Order, Query, SelectStatement, Value,
};

use super::join::{end, paired, the_one};
use super::masked::{masked, padding};
use super::output::{Output, Reader};
use super::predicate::{Conditions, all_of, document, taken};
use super::{as_read, column, expression, one, operand, reader, text};
use crate::plan::{
    Expression, Hop, Include, Operand, Predicate, Reached, Room, Shown, Sort, SortKey,
};
use crate::policy::TableView;
use crate::schema::Column;
use crate::value::Decoder;

impl Conditions {
    /// The expressions of included relations of the row under `alias`; [`included`] decodes them.
    pub(super) fn includes(&mut self, includes: &[Include<'_>], alias: &DynIden) -> Vec<Expr> {
        includes.iter().map(|include| self.include(include, false, alias)).collect()
    }

    /// The expressions that are returned of the row under `alias`; [`shown`] decodes them.
    pub(super) fn shown<'p, 'v: 'p>(
        &mut self,
        table: &TableView,
        shown: impl IntoIterator<Item = &'p Shown<'v>>,
        alias: &DynIden,
    ) -> Vec<Expr> {
        let each = shown.into_iter().map(|shown| match shown {
            Shown::Column(position) => {
                masked(expression(table, alias, *position), table, *position)
            }
            Shown::Computed(computed) => {
                let value = self.computed(&computed.of, alias);
                as_read(value, decoder(table, &computed.of))
            }
            Shown::Related { of, .. } => {
                let value = self.value(of, alias);
                let owner = of.owner(table);
                masked(as_read(value, owner.decoder(of.position)), owner, of.position)
            }
        });
        each.collect()
    }

    /// The included rows; if `sized`, with [`padding`] for masked values, as their sizes are added up.
    fn include(&mut self, include: &Include<'_>, sized: bool, alias: &DynIden) -> Expr {
        if include.counted {
            return self.counted(&include.hop, &include.filter, alias);
        }
        let (mut rows, other) = self.met(&include.hop, &include.filter, alias);
        let row = self.row(include, sized, &other);
        if include.hop.is_to_one() {
            rows.expr(row);
            the_one(&mut rows, &include.hop, &other);
            self.join(&mut rows, &other);
            return subquery(rows);
        }
        // In the form in which it is sent, the size of a row is known.
        let row = sent(row);
        let mut all = match include.room {
            Room::Each(most) => {
                // One that is longer is recognized by the byte that is too much.
                let most = Expr::Constant(Value::BigUnsigned(Some(most as u64 + 1)));
                let from = Expr::Constant(Value::Int(Some(1)));
                rows.expr(Func::cust("pg_catalog.substr").args([row, from, most]));
                None
            }
            Room::All(most) => {
                rows.expr_as(row, ROW);
                let padded =
                    (!sized && include.is_masked()).then(|| self.row(include, true, &other));
                let size = match padded {
                    Some(padded) => {
                        rows.expr_as(octets(sent(padded)), SIZE);
                        Expr::col(SIZE)
                    }
                    None => octets(Expr::col(ROW)),
                };
                Some(added_up(size, most))
            }
        };
        self.sort(&mut rows, &include.order, &other);
        self.join(&mut rows, &other);
        rows.limit(include.limit.saturating_add(1));
        if let Some(all) = &mut all {
            rows = all.from_subquery(rows, self.alias()).take();
        }
        Func::cust("ARRAY").arg(subquery(rows)).into()
    }

    /// A related row as a record.
    fn row(&mut self, include: &Include<'_>, sized: bool, alias: &DynIden) -> Expr {
        let table = include.hop.table;
        let is_padded = |shown: &&Shown<'_>| sized && shown.is_masked(table);
        let columns = include.columns.iter().filter(|shown| !is_padded(shown));
        let mut members = self.shown(table, columns, alias);
        members.extend(include.columns.iter().filter(is_padded).map(|_| padding()));
        let further = include.includes.iter();
        members.extend(further.map(|further| self.include(further, sized, alias)));
        Func::cust("ROW").args(members).into()
    }

    /// The number of rows at the end of a hop that meet a condition.
    pub(super) fn counted(
        &mut self,
        hop: &Hop<'_>,
        filter: &Predicate<'_>,
        alias: &DynIden,
    ) -> Expr {
        let (mut rows, _) = self.met(hop, filter, alias);
        rows.expr(Func::count(Expr::col(sea_query::Asterisk)));
        subquery(rows)
    }

    /// The rows at the end of a hop that meet a condition, with their alias.
    pub(super) fn met(
        &mut self,
        hop: &Hop<'_>,
        filter: &Predicate<'_>,
        alias: &DynIden,
    ) -> (SelectStatement, DynIden) {
        let (mut rows, other) = self.related(hop, alias);
        if let Some(filter) = self.expression(filter, &other) {
            rows.and_where(filter);
        }
        (rows, other)
    }

    /// The rows at the end of a hop from the row under `alias`, with their alias.
    pub(super) fn related(&mut self, hop: &Hop<'_>, alias: &DynIden) -> (SelectStatement, DynIden) {
        let other = self.alias();
        let mut rows = Query::select();
        rows.from(end(hop, &other));
        let (Some(path), Some((middle, visible))) = (&hop.relation.junction, &hop.junction) else {
            rows.and_where(paired(hop, alias, hop.table, &other));
            return self.existing(rows, hop, other);
        };
        let between = self.alias();
        let same = path
            .columns
            .iter()
            .map(|(ours, theirs)| of(middle, &between, *ours).eq(of(hop.table, &other, *theirs)));
        let same = all_of(same);
        let visible = self.expression(visible, &between);
        if path.repeats {
            let mut leads = Query::select();
            leads.expr(one());
            leads.from(super::aliased(middle, &between)).and_where(same);
            leads.and_where_option(visible);
            leads.and_where(paired(hop, alias, middle, &between));
            rows.and_where(Expr::exists(leads));
        } else {
            rows.inner_join(super::aliased(middle, &between), same);
            rows.and_where_option(visible);
            rows.and_where(paired(hop, alias, middle, &between));
        }
        self.existing(rows, hop, other)
    }

    /// Restricts rows to those that the caller may see.
    pub(super) fn existing(
        &mut self,
        mut rows: SelectStatement,
        hop: &Hop<'_>,
        other: DynIden,
    ) -> (SelectStatement, DynIden) {
        if let Some(visible) = self.expression(&hop.visible, &other) {
            rows.and_where(visible);
        }
        (rows, other)
    }

    /// A column of the row under `alias`, or of the row that hops lead to.
    ///
    /// Where it can, its table is joined: see [`Conditions::joins_row`].
    pub(super) fn reached(&mut self, hops: &[Hop<'_>], reached: &Column, alias: &DynIden) -> Expr {
        match hops {
            [] => column(alias, reached),
            [hop, further @ ..] if self.joins_row(hop) => {
                let joined = self.joined(hop, alias);
                self.reached(further, reached, &joined)
            }
            _ => self.looked_up(hops, reached, alias),
        }
    }

    /// The same in a subquery, for conditions of statements without joins, such as those that lock or change rows.
    pub(super) fn looked_up(
        &mut self,
        hops: &[Hop<'_>],
        reached: &Column,
        alias: &DynIden,
    ) -> Expr {
        let [hop, further @ ..] = hops else { return column(alias, reached) };
        let (mut row, other) = self.related(hop, alias);
        row.expr(self.reached(further, reached, &other));
        the_one(&mut row, hop, &other);
        self.join(&mut row, &other);
        subquery(row)
    }

    /// The column's value, or the value at a path in its JSON, where JSON null is SQL NULL.
    pub(super) fn value(&mut self, of: &Reached<'_>, alias: &DynIden) -> Expr {
        self.value_along(&of.hops, of, alias)
    }

    /// The same, after the remaining hops from the row under `alias`.
    pub(super) fn value_along(
        &mut self,
        hops: &[Hop<'_>],
        of: &Reached<'_>,
        alias: &DynIden,
    ) -> Expr {
        let whole = self.reached(hops, &of.column, alias);
        match &of.member {
            None => whole,
            Some(path) => self.member(whole, &of.column, path),
        }
    }

    fn member(&mut self, whole: Expr, column: &Column, path: &Operand) -> Expr {
        let member = self.at_path(whole, column, path, "#>");
        Func::cust("NULLIF").args([member, Expr::Constant("null".into())]).into()
    }

    /// The expression that rows are sorted by.
    pub(super) fn sort_key(&mut self, sort: &Sort<'_>, alias: &DynIden) -> Expr {
        match &sort.key {
            SortKey::Value(of) => self.value(of, alias),
            SortKey::Rank(of, words) => {
                let document = document(self.value(of, alias), &of.column.data_type, words);
                let query = self.query(words);
                Func::cust("pg_catalog.ts_rank").args([document, query]).into()
            }
            SortKey::Distance(of, from) => {
                let value = self.value(of, alias);
                let type_name = of.column.data_type.base().name.clone();
                let from = self.parameters.share(from).cast_as(type_name);
                value.binary(BinOper::Custom("<->"), from)
            }
            SortKey::Computed(expression) => self.computed(expression, alias),
            // A `ctid` is unique within one partition or inheriting table only.
            SortKey::Place => {
                Expr::tuple(["tableoid", "ctid"].map(|name| super::named(alias, name)))
            }
        }
    }

    /// A sort key as a cursor holds it: a measure may have different types.
    pub(super) fn cursor_key(&mut self, sort: &Sort<'_>, alias: &DynIden) -> Expr {
        let key = self.sort_key(sort, alias);
        match &sort.key {
            SortKey::Value(of) if of.member.is_none() => taken(key, &of.column.data_type),
            SortKey::Value(_) | SortKey::Computed(_) | SortKey::Place => key,
            SortKey::Rank(..) | SortKey::Distance(..) => key.cast_as("double precision"),
        }
    }

    /// Adds ORDER BY.
    pub(super) fn sort(
        &mut self,
        query: &mut SelectStatement,
        order: &[Sort<'_>],
        alias: &DynIden,
    ) {
        for sort in order {
            let key = self.sort_key(sort, alias);
            order_by(query, sort, key);
        }
    }
}

/// The columns of a query whose rows' sizes are added up.
const ROW: &str = "row";
const SIZE: &str = "size";

/// A record in the form in which it is sent.
///
/// PostgreSQL evaluates what it takes for cheap before it sorts, of all rows, and holds the results in memory. So an expensive
/// alternative is added, which is never evaluated, since no record is null.
fn sent(record: Expr) -> Expr {
    let text = |text: &str| Expr::Constant(text.into());
    let sent = Func::cust("pg_catalog.record_send").arg(record);
    let none = Expr::Constant(Value::Int(Some(0)));
    let never = Func::cust("pg_catalog.obj_description").args([none, text("pg_class")]);
    let never = Func::cust("pg_catalog.decode").args([never.into(), text("hex")]);
    Func::coalesce([Expr::from(sent), never.into()]).into()
}

fn octets(bytes: Expr) -> Expr {
    Func::cust("pg_catalog.octet_length").arg(bytes).into()
}

/// The query of the rows as far as all up to them have at most so many bytes; of the others, nothing, which is no row.
#[expect(
    clippy::disallowed_methods,
    reason = "sea-query has no windows within expressions; the text is our own"
)]
fn added_up(size: Expr, most: usize) -> SelectStatement {
    let sum = Expr::cust_with_exprs("pg_catalog.sum($1) OVER (ROWS UNBOUNDED PRECEDING)", [size]);
    let most = Expr::Constant(Value::BigUnsigned(Some(most as u64)));
    let row = Expr::case(sum.gt(most), text("")).finally(Expr::col(ROW));
    Query::select().expr(row).take()
}

fn of(table: &TableView, alias: &DynIden, position: usize) -> Expr {
    operand(alias, &table.table.columns[position])
}

/// Adds a sort key to ORDER BY.
pub(super) fn order_by(query: &mut SelectStatement, sort: &Sort<'_>, key: Expr) {
    let order = if sort.descending { Order::Desc } else { Order::Asc };
    // Nulls sort as the largest values by default. To name the default would keep PostgreSQL from using an index.
    if sort.nulls_last == sort.descending {
        let nulls = if sort.nulls_last { NullOrdering::Last } else { NullOrdering::First };
        query.order_by_expr_with_nulls(key, order, nulls);
    } else {
        query.order_by_expr(key, order);
    }
}

/// How included relations are decoded.
pub(super) fn included<'v>(includes: &'v [Include<'v>]) -> impl Iterator<Item = Output<'v>> {
    includes.iter().map(|include| {
        if include.counted {
            return Output::value(include.name, Decoder::bigint());
        }
        let columns = shown(include.hop.table, &include.columns);
        let outputs = columns.chain(included(&include.includes)).collect();
        let reader = match include.hop.is_to_one() {
            true => Reader::Row(outputs),
            false => Reader::Rows {
                outputs,
                most: usize::try_from(include.limit).unwrap_or(usize::MAX),
                longest: match include.room {
                    Room::Each(most) => most,
                    Room::All(_) => usize::MAX,
                },
                mark: include.mark.clone(),
            },
        };
        Output { name: include.name, reader }
    })
}

/// How the returned expressions of a row are decoded.
pub(super) fn shown<'v>(
    table: &'v TableView,
    shown: &'v [Shown<'v>],
) -> impl Iterator<Item = Output<'v>> {
    shown.iter().map(|shown| match shown {
        Shown::Column(position) => reader(table, *position),
        Shown::Computed(computed) => Output::value(&computed.name, decoder(table, &computed.of)),
        Shown::Related { name, of } => Output { name, ..reader(of.owner(table), of.position) },
    })
}

/// The decoder of an expression: part of a column, a JSON member, a number or a point in time.
pub(super) fn decoder<'v>(table: &'v TableView, of: &'v Expression<'v>) -> &'v Decoder {
    match of.like() {
        Some(reached) if reached.member.is_none() => {
            let whole = || reached.owner(table).decoder(reached.position);
            reached.column.decoder().unwrap_or_else(whole)
        }
        Some(_) => Decoder::jsonb(),
        None if of.counted().is_some() => Decoder::bigint(),
        None => Decoder::numeric(),
    }
}

pub(super) fn subquery(query: SelectStatement) -> Expr {
    Expr::SubQuery(None, Box::new(query.into()))
}
