//! INSERT, and the SELECT of existing rows before an upsert.

use std::ops::Range;

use sea_query::{
    DynIden, Expr, ExprTrait, IntoIden, LockType, OnConflict, Query, SelectStatement, Value,
};

use super::assign::from_now;
use super::named::{self, Named};
use super::parameters::build;
use super::predicate::{Conditions, all_of, constant};
use super::{Output, SUBJECT, Statement, aliased, apart, column, one, outputs};
use crate::error::{Code, Error, Result};
use crate::plan::{Arbiter, Assign, InsertPlan, Operand, Overwrite};
use crate::schema::{Column, Index, TableKind};
use crate::value::Decoder;

/// The most parameters of one INSERT. The protocol has 16 bits for the number, which some drivers treat as signed.
pub const INSERT_PARAMETERS: usize = 32_000;

/// The statement that inserts the plan's rows in `range`.
///
/// Its rows contain the columns at the `returned` positions. For an upsert, two flags may follow: whether the row
/// existed, if the table can tell ([`tells_new`]), and whether [`existing`] may have missed it, if that is possible
/// ([`may_overlook`]). Last comes whether the row meets the plan's check.
///
/// # Errors
///
/// `internal` if the plan's rows have different lengths.
pub fn insert<'v>(
    plan: &InsertPlan<'v>,
    range: Range<usize>,
    returned: &[usize],
) -> Result<Statement<'v>> {
    let alias = SUBJECT.into_iden();
    let mut conditions = Conditions::default();
    let mut query = Query::insert();
    query.into_table(aliased(plan.table, &alias));
    let count = range.len();
    let single = count == 1;
    let given = plan.rows.get(range).unwrap_or_default();
    let alike = (!single).then(|| in_columns(plan, given, &mut conditions)).flatten();
    let recurring = single || alike.is_some();
    query.columns(plan.columns.iter().map(|column| column.name.clone()));
    // As far as the list of columns.
    let begun = query.clone();
    let filled = match alike {
        _ if plan.columns.is_empty() => Ok(query.or_default_values()),
        Some(rows) => query.select_from(rows),
        None => given.iter().try_fold(&mut query, |query, row| {
            query.values(row.iter().map(|assign| value(assign, &mut conditions)))
        }),
    };
    filled.map_err(|error| {
        Error::new(Code::Internal, "rows of one insert differ in length").caused_by(error)
    })?;

    if let Some(arbiter) = &plan.arbiter {
        query.on_conflict(on_conflict(arbiter, &alias, &mut conditions));
    }

    let (mut returning, mut columns) = outputs(plan.table, &alias, returned.iter().copied());
    let changes = plan.arbiter.as_ref().is_some_and(|arbiter| !arbiter.set.is_empty());
    if changes && tells_new(plan) {
        returning.push(is_new(&alias).not());
        columns.push(Output::value("_met", Decoder::boolean()));
    }
    if changes && may_overlook(plan) {
        returning.push(is_unnamed(plan, given, &alias, &mut conditions));
        columns.push(Output::value("_unnamed", Decoder::boolean()));
    }
    returning.push(check(plan, &alias, &mut conditions));
    columns.push(Output::value("_check", Decoder::boolean()));
    query.returning(Query::returning().exprs(returning));
    let mut text = build(&query);
    if given.iter().flatten().any(|assign| matches!(assign, Assign::Again(_))) {
        // Otherwise PostgreSQL accepts no values for columns that are GENERATED ALWAYS AS IDENTITY.
        text.sql.insert_str(build(&begun).sql.len(), " OVERRIDING SYSTEM VALUE");
    }
    if plan.columns.is_empty() {
        // sea-query cannot write a row of a table without columns. Written as an identifier, it would be quoted.
        let rows = match single {
            true => "DEFAULT VALUES".to_owned(),
            false => format!("SELECT FROM pg_catalog.generate_series(1, {count})"),
        };
        let rows = format!(" AS \"t0\" {rows}");
        text.sql = text.sql.replacen(" AS \"t0\" VALUES (DEFAULT)", &rows, 1);
    }
    let mut statement = conditions.parameters.finish(text, columns);
    // If not all rows give the same columns, the text depends on the number of rows.
    statement.recurring = recurring;
    Ok(statement)
}

/// The value of a column of a new row.
fn value(assign: &Assign<'_>, conditions: &mut Conditions) -> Expr {
    match assign {
        Assign::Value(operand) | Assign::Again(operand) => conditions.parameters.add(operand),
        Assign::Now => Expr::current_timestamp(),
        Assign::FromNow(offset) => from_now(conditions.parameters.add(offset)),
        Assign::Period(period) => conditions.period(period),
        _ => Expr::Keyword(sea_query::Keyword::Default),
    }
}

/// The ON CONFLICT clause.
fn on_conflict(arbiter: &Arbiter<'_>, alias: &DynIden, conditions: &mut Conditions) -> OnConflict {
    let mut clause = match arbiter.columns.is_empty() {
        true => OnConflict::new(),
        false => OnConflict::columns(arbiter.columns.iter().map(|column| column.name.clone())),
    };
    clause.target_and_where_option(arbiter.partial.and_then(predicate));
    if arbiter.set.is_empty() {
        clause.do_nothing();
    }
    for (column, overwrite) in &arbiter.set {
        match overwrite {
            Overwrite::Given => clause.update_column(column.name.clone()),
            Overwrite::Added => {
                let new = Expr::col(("excluded", column.name.clone()));
                clause.value(column.name.clone(), super::column(alias, column).add(new))
            }
            Overwrite::Assign(assign) => {
                let value = conditions.assigned(column, assign, alias, &Conditions::given);
                clause.value(column.name.clone(), value)
            }
        };
    }
    if let Some(filter) = conditions.expression(&arbiter.filter, alias) {
        clause.action_and_where(filter);
    }
    clause
}

/// The predicate of a partial index, as the catalogue prints it. Its names are those of the table's columns.
fn predicate(index: &Index) -> Option<Expr> {
    index.predicate.as_ref().map(|text| Expr::Custom(format!("({text})").into()))
}

/// Whether a partial index covers the row under `alias`.
fn is_indexed(plan: &InsertPlan<'_>, index: &Index, alias: &DynIden) -> Option<Expr> {
    let predicate = predicate(index)?;
    // A subquery with these columns only, so that the predicate's names are unambiguous.
    let mut row = Query::select();
    for position in &index.mentions {
        let mentioned = &plan.table.table.columns[*position];
        row.expr_as(column(alias, mentioned), mentioned.name.clone().into_iden());
    }
    let mut indexed = Query::select();
    indexed.expr(one());
    indexed.from_subquery(row, "indexed".into_iden()).and_where(predicate);
    Some(Expr::exists(indexed))
}

/// Whether a written row meets the checks of the plan.
fn check(plan: &InsertPlan<'_>, alias: &DynIden, conditions: &mut Conditions) -> Expr {
    let added = conditions.expression(&plan.check, alias);
    let met = plan.arbiter.as_ref();
    let changed = met.and_then(|arbiter| conditions.expression(&arbiter.check, alias));
    let changed = changed.map(|changed| match tells_new(plan) {
        true => is_new(alias).or(changed),
        // Every row is checked as an existing one.
        false => changed,
    });
    all_of(added.into_iter().chain(changed))
}

/// Whether RETURNING can tell new rows from existing ones. It cannot for partitioned tables and views.
pub fn tells_new(plan: &InsertPlan<'_>) -> bool {
    let table = &plan.table.table;
    table.kind == TableKind::Table && table.has_system_columns()
}

/// Whether an upsert may change a row that [`existing`] does not find while it finds another, so that their number
/// shows nothing. That is possible if the key's index is partial, if other tables inherit from this one, and if
/// triggers change the new values.
pub fn may_overlook(plan: &InsertPlan<'_>) -> bool {
    let partial = plan.arbiter.as_ref().is_some_and(|arbiter| arbiter.partial.is_some());
    let table = &plan.table.table;
    partial || table.fills_rows || table.has_heirs || !tells_new(plan)
}

/// An existing row was locked before it was changed; a new row was not.
fn is_new(alias: &DynIden) -> Expr {
    super::named(alias, "xmax").eq(Expr::Constant(Value::Int(Some(0))))
}

/// Whether a row's key was set by a default or a trigger, not by the request.
fn is_unnamed(
    plan: &InsertPlan<'_>,
    rows: &[Vec<Assign<'_>>],
    alias: &DynIden,
    conditions: &mut Conditions,
) -> Expr {
    let key =
        plan.arbiter.as_ref().map(|arbiter| (arbiter.columns.as_slice(), arbiter.nulls_equal));
    let (key, nulls_equal) = key.unwrap_or_default();
    let keys = keys(plan, key, rows);
    let values = keys.iter().map(Vec::as_slice);
    let named = Named::new(0..values.len(), key, values, Some("/data"), conditions);
    let is_named = named::is_named_or_null(key, &nulls(plan, &keys), alias);
    let mut query = Query::select();
    query.expr(constant(true)).from(named.table()).and_where(is_named);
    let unnamed = Expr::exists(query).not();
    let filled = key.iter().filter(|column| !nulls_equal && column.may_be_null);
    filled.fold(unnamed, |all, column| all.and(super::named(alias, &column.name).is_not_null()))
}

/// The rows as one array parameter for each column, so that the text is short and the same for any number of rows.
/// `None` if a column has a value in some rows only, or if no column has one.
fn in_columns(
    plan: &InsertPlan<'_>,
    rows: &[Vec<Assign<'_>>],
    conditions: &mut Conditions,
) -> Option<SelectStatement> {
    let columns = plan.columns.iter().enumerate().map(|(place, column)| {
        let values = rows.iter().map(|row| row.get(place)?.value().cloned());
        Some((*column, values.collect::<Option<Vec<Operand>>>()?))
    });
    let columns: Vec<(&Column, Vec<Operand>)> = columns.collect::<Option<_>>()?;
    if columns.is_empty() {
        return None;
    }
    let mut query = Query::select();
    for (column, values) in columns {
        query.expr(named::unnested(&column.data_type, values, Some("/data"), conditions));
    }
    Some(query)
}

/// The statement that locks and reads the existing rows that an upsert would change; `None` if it would change none.
///
/// Its rows contain all readable columns, and for a table without a key the values that identify the row, if the user
/// is `asked` to confirm.
pub fn existing<'v>(
    plan: &InsertPlan<'v>,
    range: Range<usize>,
    asked: bool,
) -> Option<Statement<'v>> {
    let arbiter = plan.arbiter.as_ref().filter(|arbiter| !arbiter.set.is_empty())?;
    let keys = keys(plan, &arbiter.columns, plan.rows.get(range).unwrap_or_default());
    if keys.is_empty() {
        return None;
    }
    let alias = SUBJECT.into_iden();
    let mut conditions = Conditions::default();
    let values = keys.iter().map(Vec::as_slice);
    let named = Named::new(0..keys.len(), &arbiter.columns, values, Some("/data"), &mut conditions);
    let (mut expressions, mut columns) = outputs(plan.table, &alias, plan.table.readable_columns());
    if asked {
        let (others, read) = apart(plan.table, &alias);
        expressions.extend(others);
        columns.extend(read);
    }
    let mut query = Query::select();
    query.exprs(expressions).from(aliased(plan.table, &alias)).from(named.table());
    query.and_where(named::is_named_or_null(&arbiter.columns, &nulls(plan, &keys), &alias));
    if let Some(indexed) = arbiter.partial.and_then(|index| is_indexed(plan, index, &alias)) {
        query.and_where(indexed);
    }
    if let Some(filter) = conditions.expression(&arbiter.filter, &alias) {
        query.and_where(filter);
    }
    query.lock_with_tables(LockType::Update, [SUBJECT]);
    Some(conditions.parameters.finish(build(&query), columns))
}

/// The parts of the upsert's key that are null in some of these rows and conflict all the same.
fn nulls(plan: &InsertPlan<'_>, keys: &[Vec<Operand>]) -> Vec<usize> {
    let equal = |arbiter: &&Arbiter<'_>| arbiter.nulls_equal && arbiter.partial.is_none();
    let parts = plan.arbiter.as_ref().filter(equal).map_or(0, |arbiter| arbiter.columns.len());
    let is_null =
        |part: &usize| keys.iter().any(|key| key.get(*part).is_some_and(Operand::is_null));
    (0..parts).filter(is_null).collect()
}

/// The key's values of the rows that give all of them. A default's value is not known yet.
fn keys(plan: &InsertPlan<'_>, key: &[&Column], rows: &[Vec<Assign<'_>>]) -> Vec<Vec<Operand>> {
    let place = |key: &Column| plan.columns.iter().position(|column| column.name == key.name);
    let Some(places) = key.iter().map(|key| place(key)).collect::<Option<Vec<usize>>>() else {
        return Vec::new();
    };
    let values = |row: &Vec<Assign<'_>>| {
        places.iter().map(|place| row.get(*place)?.value().cloned()).collect::<Option<_>>()
    };
    rows.iter().filter_map(values).collect()
}
