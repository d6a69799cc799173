//! Row conditions and presets of grants that do not fit their tables.

use mcp_pg_core::plan::{Scope, filter};
use mcp_pg_core::policy::{Action, Grant, Role, Settings, TableView, View};
use mcp_pg_core::schema::{Operator, Schema};
use mcp_pg_core::{Error, Principal};
use serde_json::{Map, Value};

/// The findings on `rows` and `preset` of the roles' grants.
pub(super) fn of_rows(settings: &Settings, schema: &Schema, findings: &mut Vec<String>) {
    let whole = View::everything(schema, settings);
    let caller = Principal::new("check", "");
    let scope = Scope::new(&whole, settings, &caller);
    for role in &settings.roles {
        for (position, grant) in role.grants.iter().enumerate() {
            let place = format!("roles.{}.grants[{position}]", role.name);
            for table in whole.tables().iter().filter(|table| decides(role, position, table)) {
                let faults = of_condition(&scope, table, grant).into_iter();
                for (key, error) in faults.chain(of_presets(&scope, table, grant)) {
                    findings.push(format!("{place}.{key}: {}: {error}", table.name()));
                }
            }
        }
    }
}

/// Whether the grant is the first one that matches, for some action on the table.
fn decides(role: &Role, position: usize, table: &TableView) -> bool {
    let matching = |grant: &&Grant| grant.matches(table.name());
    let first = |action: Action| {
        let mut grants = role.grants.iter().enumerate();
        grants.find(|(_, grant)| grant.actions.contains(action) && matching(grant))
    };
    let own = role.grants.get(position).filter(matching);
    own.is_some_and(|grant| {
        grant.actions.iter().any(|action| first(action).is_some_and(|(at, _)| at == position))
    })
}

fn of_condition(
    scope: &Scope<'_>,
    table: &TableView,
    grant: &Grant,
) -> Option<(&'static str, Error)> {
    let rows = without_claims(grant.rows.as_ref()?);
    filter(scope, table, &rows, "").err().map(|error| ("rows", error))
}

fn of_presets(scope: &Scope<'_>, table: &TableView, grant: &Grant) -> Vec<(&'static str, Error)> {
    let fault = |(name, value): (&String, &Value)| {
        let (_, column) = table.table.column(name)?;
        // What is encrypted is written as another type.
        let encrypted = &scope.settings.encryption.columns;
        let fixed = !is_claim(value) && !encrypted.contains(&format!("{}.{name}", table.name()));
        let error = fixed.then(|| scope.operand(column, value, &format!("/{name}")))?.err()?;
        Some(("preset", error))
    };
    grant.preset.iter().filter_map(fault).collect()
}

/// The findings on presets of what counts the changes of rows: with one value for all, no change would be noticed.
pub(super) fn of_versions(settings: &Settings, schema: &Schema) -> Vec<String> {
    let mut findings = Vec::new();
    for role in &settings.roles {
        for table in View::new(schema, role, settings).tables() {
            let Some(version) = &table.version else { continue };
            let mut grants = role.grants.iter().enumerate();
            let sets = |(position, grant): &(usize, &Grant)| {
                grant.preset.contains_key(&version.name) && decides(role, *position, table)
            };
            if let Some((position, _)) = grants.find(sets) {
                findings.push(format!(
                    "roles.{}.grants[{position}].preset: the server counts the changes of {} in {}: leave it out",
                    role.name,
                    table.name(),
                    version.name
                ));
            }
        }
    }
    findings
}

/// The condition as far as it is known without a caller.
fn without_claims(rows: &Map<String, Value>) -> Map<String, Value> {
    let known = |(name, value): (&String, &Value)| {
        let value = match value {
            // A list of claims, or one of several.
            Value::Array(items) if items.iter().any(is_claim) => None,
            Value::Array(items) => Some(
                items
                    .iter()
                    .map(|item| match item {
                        Value::Object(inner) => Value::Object(without_claims(inner)),
                        item => item.clone(),
                    })
                    .collect(),
            ),
            Value::Object(inner) => {
                let left = without_claims(inner);
                (!left.is_empty() || inner.is_empty()).then_some(Value::Object(left))
            }
            value => (!is_claim(value)).then(|| value.clone()),
        };
        let operator = name == "path" || Operator::ALL.iter().any(|known| known.as_str() == name);
        match value {
            Some(value) => Some((name.clone(), value)),
            None if operator => None,
            // Null is a value of every column.
            None => Some((name.clone(), Value::Null)),
        }
    };
    rows.iter().filter_map(known).collect()
}

fn is_claim(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with("claim:"))
}
