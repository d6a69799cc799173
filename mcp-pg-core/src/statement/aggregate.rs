//! GROUP BY: the subquery that a grouping is.

use sea_query::{
    Asterisk, BinOper, DynIden, Expr, ExprTrait, Func, FunctionCall, IntoIden, Keyword, Query,
    SelectStatement, Value,
};

use super::aliased;
use super::expression::divided;
use super::guard::Guard;
use super::local::local;
use super::parameters::place;
use super::predicate::{Conditions, taken};
use crate::plan::{Cut, Expression, Function, Group, Grouping, Measure};

/// The first and the last moment that PostgreSQL surely cuts, in any time zone.
const CUT: [&str; 2] = ["4712-01-01 BC", "294276-12-29"];

impl Conditions {
    /// The groups and measures as a subquery, whose columns are called `c0`, `c1`, …
    pub(super) fn grouping(&mut self, grouping: &Grouping<'_>) -> SelectStatement {
        let alias = self.alias();
        let mut query = Query::select();
        query.from(aliased(grouping.table, &alias));
        for (index, group) in grouping.groups.iter().enumerate() {
            let expression = self.group(group, &alias);
            query.expr_as(expression, name(index));
            // By position: the same parameter twice would be two expressions to PostgreSQL.
            let position = i32::try_from(index).unwrap_or(i32::MAX).saturating_add(1);
            query.add_group_by([Expr::Constant(Value::Int(Some(position)))]);
        }
        for (index, measure) in grouping.measures.iter().enumerate() {
            let expression = self.measure(measure, &alias);
            query.expr_as(expression, name(grouping.groups.len() + index));
        }
        if let Some(filter) = self.joined_condition(&grouping.filter, &alias) {
            query.and_where(filter);
        }
        self.join(&mut query, &alias);
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
        let Some(Cut { part, unit, zone }) = &group.cut else { return value };
        let unit = Expr::Constant(Value::String(Some((*unit).to_owned())));
        let zone = zone.as_ref().map(|zone| {
            let zone = self.parameters.shared(zone);
            self.guard(Guard::Zone(zone));
            place(zone)
        });
        if *part {
            let value = match zone {
                Some(zone) => local(value, zone),
                None => value,
            };
            return Func::cust("pg_catalog.extract").args([unit, value]).into();
        }
        let (data_type, whole) = (group.of.data_type().shared_base(), value.clone());
        let date = data_type.oid == 1082;
        let value = if date { value.cast_as("timestamp") } else { value };
        let arguments = [unit, value].into_iter().chain(zone);
        let cut: Expr = Func::cust("pg_catalog.date_trunc").args(arguments).into();
        let cut = if date { cut.cast_as("date") } else { cut };
        // Beyond, it would fail, also at rows that the caller does not see: conditions on groups become conditions on rows.
        let moment = |text: &str| {
            let text = Expr::Constant(Value::String(Some(text.to_owned())));
            text.cast_as(data_type.name.clone())
        };
        let [first, last] = CUT;
        let within = whole.clone().between(moment(first), moment(last));
        Expr::case(within, cut).finally(whole).into()
    }

    fn measure(&mut self, measure: &Measure<'_>, alias: &DynIden) -> Expr {
        let mut by = 1;
        let value = match &measure.of {
            None => Expr::col(Asterisk),
            Some(Expression::Column(of)) if of.member.is_none() => {
                taken(self.value(of, alias), &of.column.data_type)
            }
            Some(Expression::Column(of)) if measure.function.is_of_numbers() => {
                self.number(of, alias)
            }
            Some(of) if measure.function.is_of_numbers() => {
                let parted = self.parted(of, alias);
                by = parted.by;
                parted.value
            }
            Some(of) => self.computed(of, alias),
        };
        divided(self.measured(measure, value, alias), by)
    }

    /// What the function of a measure gives of the values.
    fn measured(&mut self, measure: &Measure<'_>, value: Expr, alias: &DynIden) -> Expr {
        let filter = self.expression(&measure.filter, alias);
        let met = |call: FunctionCall| match filter {
            None => call,
            Some(filter) => call.filter(filter),
        };
        let Some(fraction) = &measure.fraction else {
            return met(match measure.function {
                Function::Count | Function::Percentile => Func::count(value),
                Function::CountDistinct => Func::count_distinct(value),
                Function::Sum => Func::sum(value),
                Function::Avg => Func::avg(value),
                Function::Stddev => Func::cust("pg_catalog.stddev").arg(value),
                Function::Variance => Func::cust("pg_catalog.variance").arg(value),
                Function::Min => Func::min(value),
                Function::Max => Func::max(value),
            })
            .into();
        };
        let fraction = self.parameters.add(fraction).cast_as("double precision");
        let order = Expr::Keyword(Keyword::Custom("ORDER".into_iden()));
        let values = Func::cust("GROUP").arg(order.binary(BinOper::Custom("BY"), value));
        let percentile: Expr = Func::cust("pg_catalog.percentile_cont").arg(fraction).into();
        percentile.binary(BinOper::Custom("WITHIN"), Expr::from(met(values)))
    }
}

/// The name of a column of the subquery.
fn name(index: usize) -> DynIden {
    format!("c{index}").into_iden()
}
