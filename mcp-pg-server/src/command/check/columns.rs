//! What the configuration says of columns, table by table, that are not there.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::ColumnMarks;
use mcp_pg_core::schema::Schema;

/// The findings on `[columns]`.
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
    findings
}
