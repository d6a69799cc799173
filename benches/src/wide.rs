//! A schema as wide as the widest that people run: 1,000 tables, 10,000 columns, 3,700 foreign keys.

use std::fmt::Write;

/// How many tables [`wide_schema_sql`] makes.
pub const TABLES: usize = 1_000;

/// The SQL that makes the wide schema in an empty database: [`TABLES`] tables of ten columns each in
/// `public`, with 3,700 foreign keys, 1,371 of them to the first table, and a comment on everything.
///
/// Several statements, to be sent in one batch.
///
/// ```
/// let sql = mcp_pg_benches::wide::wide_schema_sql();
/// assert_eq!(sql.matches("CREATE TABLE").count(), mcp_pg_benches::wide::TABLES);
/// assert_eq!(sql.matches("REFERENCES").count(), 3_700);
/// ```
pub fn wide_schema_sql() -> String {
    schema_sql(TABLES)
}

/// The first `tables` of them.
pub fn schema_sql(tables: usize) -> String {
    let mut sql = String::from("CREATE TYPE state AS ENUM ('new', 'open', 'done');\n");
    for table in 0..tables {
        // Writing into a string cannot fail.
        let _ = write_table(&mut sql, table);
    }
    sql
}

fn write_table(sql: &mut String, table: usize) -> std::fmt::Result {
    let name = name(table);
    write!(
        sql,
        "CREATE TABLE {name} (\n  \
           id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n  \
           code text NOT NULL UNIQUE CHECK (code <> ''),\n  \
           label varchar(80) DEFAULT 'none',\n  \
           amount numeric(12, 2) NOT NULL DEFAULT 0,\n  \
           state state,\n  \
           created_at timestamptz NOT NULL DEFAULT now()"
    )?;
    for key in 0..4 {
        write!(sql, ",\n  key_{key}_id bigint")?;
        if let Some(other) = reference(table, key) {
            write!(sql, " REFERENCES {}", self::name(other))?;
        }
    }
    writeln!(sql, "\n);\nCREATE INDEX ON {name} (created_at);")?;
    writeln!(sql, "COMMENT ON TABLE {name} IS 'Table {table} of {TABLES}, made to be read';")?;
    let own = ["id", "code", "label", "amount", "state", "created_at"].map(str::to_owned);
    for column in own.into_iter().chain((0..4).map(|key| format!("key_{key}_id"))) {
        writeln!(sql, "COMMENT ON COLUMN {name}.{column} IS 'The {column} of {name}';")?;
    }
    Ok(())
}

/// The table that a table's key references, always itself or an earlier one: nine tables in ten have four
/// foreign keys, the tenth one.
fn reference(table: usize, key: usize) -> Option<usize> {
    match key {
        0 => Some(0),
        _ if table % 10 == 9 => None,
        // With all the first keys, and the few below that happen to, 1,371 lead to the first table.
        1 if table < 402 => Some(0),
        _ => Some((table * (7 * key + 4)) % (table + 1)),
    }
}

fn name(table: usize) -> String {
    format!("wide_{table:04}")
}
