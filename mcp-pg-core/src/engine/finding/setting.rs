//! Settings that contradict each other, whatever the database.

use crate::policy::Settings;

/// The findings on roles and limits.
pub(super) fn of_settings(settings: &Settings) -> Vec<String> {
    let names: Vec<&str> = settings.roles.iter().map(|role| role.name.as_str()).collect();
    let mut findings = Vec::new();
    let default = settings.default_role.as_str();
    if !default.is_empty() && !names.contains(&default) {
        findings.push(format!("default_role: there is no role {default:?}"));
    }
    let mut twice: Vec<&str> = Vec::new();
    for (position, name) in names.iter().enumerate() {
        if names[..position].contains(name) && !twice.contains(name) {
            twice.push(name);
            findings
                .push(format!("roles.{name}: defined several times, and the first one is used"));
        }
    }
    let limits = &settings.limits;
    if limits.default_rows > limits.max_rows {
        findings.push(format!(
            "limits.default_rows ({}) is more than limits.max_rows ({})",
            limits.default_rows, limits.max_rows
        ));
    }
    findings
}
