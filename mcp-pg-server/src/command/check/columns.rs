//! What the configuration and comments say of columns, and is not so.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::ColumnMarks;
use mcp_pg_core::schema::Schema;

/// The findings on `[columns]`, `[comments]` and directives.
pub(super) fn of_columns(settings: &Settings, schema: &Schema) -> Vec<String> {
    let mut findings = Vec::new();
    let marks = &settings.columns;
    for (key, patterns) in [("sensitive", &marks.sensitive), ("untrusted", &marks.untrusted)] {
        for pattern in patterns {
            let alone = ColumnMarks { sensitive: vec![pattern.clone()], ..ColumnMarks::default() };
            let fits = schema.tables.iter().any(|table| {
                table.columns.iter().any(|column| alone.of(&table.name, &column.name).sensitive)
            });
            if !fits {
                findings.push(format!("columns.{key}: {pattern:?} matches no column"));
            }
        }
    }
    for owner in &settings.comments.owners {
        if !schema.tables.iter().any(|table| &table.owner == owner) {
            findings
                .push(format!("comments.owners: {owner} owns no table of the configured schemas"));
        }
    }
    findings.extend(schema.directives.faults.iter().cloned());
    findings
}
