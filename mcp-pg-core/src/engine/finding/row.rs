//! Row conditions and presets of grants that do not fit their tables.

use crate::plan::Misfit;
use crate::policy::{Grant, Role, Settings, View};
use crate::schema::Schema;

/// The findings on `rows` and `preset` of the role's grants.
pub(super) fn of_rows(role: &Role, settings: &Settings, schema: &Schema) -> Vec<String> {
    let whole = View::everything(schema, settings);
    let misfits = Misfit::of_role(role, &whole, settings).into_iter();
    misfits.map(|misfit| misfit.to_string()).collect()
}

/// The findings on presets of the version column: a constant value would hide changes.
pub(super) fn of_versions(role: &Role, settings: &Settings, schema: &Schema) -> Vec<String> {
    let mut findings = Vec::new();
    for table in View::new(schema, role, settings).tables() {
        let Some(version) = &table.version else { continue };
        let mut grants = role.grants.iter().enumerate();
        let sets = |(position, grant): &(usize, &Grant)| {
            grant.preset.contains_key(&version.name) && role.decides(*position, table.name())
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
    findings
}
