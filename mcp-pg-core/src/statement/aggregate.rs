//! GROUP BY: the subquery of a grouping.

use sea_query::{
    Asterisk, BinOper, CaseStatement, DynIden, Expr, ExprTrait, Func, FunctionCall, IntoIden,
    JoinType, Keyword, Query, SelectStatement, Value,
};

use super::aliased;
use super::expression::divided;
use super::predicate::{Conditions, constant, in_jsonb, taken};
use crate::plan::{Expression, Function, Group, Grouping, Hop, Measure, Unnested};
use crate::schema::DataType;

impl Conditions {
    /// The groups and measures as a subquery, whose columns are named `c0`, `c1`, …
    pub(super) fn grouping(&mut self, grouping: &Grouping<'_>) -> SelectStatement {
        let alias = self.alias();
        let mut query = Query::select();
        query.from(aliased(grouping.table, &alias));
        let mut unnested: Option<Many> = None;
        for (index, group) in grouping.groups.iter().enumerate() {
            let expression = match (&group.each, group.of.column()) {
                (None, _) => self.group(group, &alias),
                (Some(Unnested::Rows { before }), Some(of))
                    if let (before, [many, further @ ..]) = of.hops.split_at(*before) =>
                {
                    let rows = unnested.get_or_insert_with(|| self.many(before, many, &alias));
                    let value = self.value_along(further, of, &rows.alias);
                    rows.query.expr_as(value, name(index));
                    self.join(&mut rows.query, &rows.alias);
                    Expr::col((rows.outer.clone(), name(index)))
                }
                (Some(_), _) => {
                    let elements = unnested.insert(self.elements(&group.of, index, &alias));
                    Expr::col((elements.outer.clone(), name(index)))
                }
            };
            query.expr_as(expression, name(index));
            // By position, because PostgreSQL does not take two uses of a parameter for the same expression.
            let position = i32::try_from(index).unwrap_or(i32::MAX).saturating_add(1);
            query.add_group_by([Expr::Constant(Value::Int(Some(position)))]);
        }
        for (index, measure) in grouping.measures.iter().enumerate() {
            let expression = self.measure(measure, &alias);
            query.expr_as(expression, name(grouping.groups.len() + index));
        }
        let parts = grouping.filter.parts();
        let filter =
            self.before_joins(&alias, |conditions| conditions.joined_conditions(parts, &alias));
        query.and_where_option(filter);
        self.narrow_totals(grouping.table, &grouping.filter, &alias);
        self.join(&mut query, &alias);
        if let Some(rows) = unnested {
            query.join_lateral(JoinType::InnerJoin, rows.query, rows.outer, constant(true));
        }
        if grouping.computed.is_empty() {
            return query;
        }
        let alias = self.alias();
        let mut further = Query::select();
        further.column((alias.clone(), Asterisk));
        for (index, computed) in grouping.computed.iter().enumerate() {
            let expression = self.computed(&computed.of, &alias);
            let measured = grouping.groups.len() + grouping.measures.len();
            further.expr_as(expression, name(measured + index));
        }
        further.from_subquery(query, alias);
        further
    }

    fn group(&mut self, group: &Group<'_>, alias: &DynIden) -> Expr {
        let value = self.computed(&group.of, alias);
        match &group.cut {
            Some(cut) => self.cut(value, &group.of.data_type(), cut),
            None => value,
        }
    }

    /// The elements of a list in the row under `alias`, one per row, for the group at `index`.
    fn elements(&mut self, of: &Expression<'_>, index: usize, alias: &DynIden) -> Many {
        let list = self.computed(of, alias);
        let mut query = Query::select();
        query.expr_as(element(list, &of.data_type()), name(index));
        let outer = self.alias();
        Many { query, alias: outer.clone(), outer }
    }

    /// The rows that a to-many hop leads to, after to-one hops from the row under `alias`.
    fn many(&mut self, before: &[Hop<'_>], many: &Hop<'_>, alias: &DynIden) -> Many {
        let near = before.iter().fold(alias.clone(), |near, hop| self.joined(hop, &near));
        let (query, alias) = self.related(many, &near);
        Many { query, alias, outer: self.alias() }
    }

    fn measure(&mut self, measure: &Measure<'_>, alias: &DynIden) -> Expr {
        let mut divisor = 1;
        let value = match &measure.of {
            None => Expr::col(Asterisk),
            Some(Expression::Column(of)) if of.member.is_none() => {
                taken(self.value(of, alias), &of.column.data_type)
            }
            Some(Expression::Column(of)) if measure.function.is_of_numbers() => {
                self.number(of, alias)
            }
            Some(of) if measure.function.is_of_numbers() => {
                let fraction = self.fraction(of, alias);
                divisor = fraction.divisor;
                fraction.value
            }
            Some(of) => self.computed(of, alias),
        };
        let measured = divided(self.measured(measure, value, alias), divisor);
        // A variance grows with the square of its values. The square of a divisor may be too large a number.
        match measure.function {
            Function::Variance => divided(measured, divisor),
            _ => measured,
        }
    }

    /// A measure's aggregate function of the values.
    fn measured(&mut self, measure: &Measure<'_>, value: Expr, alias: &DynIden) -> Expr {
        let filter = self.expression(&measure.filter, alias);
        let met = |call: FunctionCall| match filter {
            None => call,
            Some(filter) => call.filter(filter),
        };
        let Some(fraction) = &measure.fraction else {
            return Expr::from(met(match measure.function {
                Function::Count | Function::Percentile => Func::count(value),
                Function::CountDistinct => Func::count_distinct(value),
                Function::Sum => Func::sum(value),
                Function::Avg => Func::avg(value),
                Function::Stddev => Func::cust("pg_catalog.stddev").arg(value),
                Function::Variance => Func::cust("pg_catalog.variance").arg(value),
                Function::Min => Func::min(value),
                Function::Max => Func::max(value),
            }));
        };
        let fraction = self.parameters.add(fraction).cast_as("double precision");
        let order = Expr::Keyword(Keyword::Custom("ORDER".into_iden()));
        let values = Func::cust("GROUP").arg(order.binary(BinOper::Custom("BY"), value));
        let percentile: Expr = Func::cust("pg_catalog.percentile_cont").arg(fraction).into();
        percentile.binary(BinOper::Custom("WITHIN"), Expr::from(met(values)))
    }
}

/// A subquery that is joined to each row, which is then in several groups: it has a column for each of them.
struct Many {
    query: SelectStatement,
    /// The alias of its rows, inside the subquery.
    alias: DynIden,
    /// The alias of the subquery.
    outer: DynIden,
}

/// An element of a list. A JSON value that is no array has no elements, and JSON null is SQL NULL.
fn element(list: Expr, data_type: &DataType) -> Expr {
    if !data_type.is_json() {
        return Func::cust("pg_catalog.unnest").arg(list).into();
    }
    let list = in_jsonb(list, data_type);
    let kind = Func::cust("pg_catalog.jsonb_typeof").arg(list.clone());
    let listed = Expr::expr(kind).eq(Expr::Constant("array".into()));
    let list: Expr = CaseStatement::new().case(listed, list).into();
    let element = Func::cust("pg_catalog.jsonb_array_elements").arg(list);
    Func::cust("NULLIF").args([element.into(), Expr::Constant("null".into())]).into()
}

/// The name of a column of the subquery.
fn name(index: usize) -> DynIden {
    format!("c{index}").into_iden()
}
