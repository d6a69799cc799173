//! Arguments as other interfaces call them: SQL, object-relational mappers, document databases.

/// What is meant here, and what it is called elsewhere: in lower case, without `_`, `-` and `$`.
const ELSEWHERE: [(&str, &[&str]); 21] = [
    ("table", &["tablename", "from", "into", "collection", "entity", "model", "name", "target"]),
    ("where", &["filter", "filters", "condition", "conditions", "criteria", "match", "predicate"]),
    ("columns", &["fields", "select", "projection", "attributes", "properties", "target", "keys"]),
    ("returning", &["return", "columns", "fields", "select", "output"]),
    ("include", &["join", "joins", "expand", "with", "relations", "populate", "embed", "related"]),
    ("order_by", &["sort", "sortby", "order", "ordering", "orderings"]),
    ("limit", &["top", "first", "take", "max", "maxrows", "pagesize", "perpage", "rows", "size"]),
    ("max_rows", &["limit", "max", "maxaffected"]),
    ("offset", &["skip", "start"]),
    ("cursor", &["after", "nextcursor", "pagetoken", "page", "token"]),
    ("measures", &["metrics", "aggregates", "aggregations", "functions", "function", "aggregate"]),
    ("group_by", &["group", "groups", "dimensions", "by"]),
    ("data", &["values", "row", "rows", "record", "records", "items", "payload", "document"]),
    ("updates", &["set", "data", "values", "changes", "change", "patch", "update", "fields"]),
    ("on_conflict", &["upsert", "conflict", "onduplicate", "onconflictdo"]),
    ("do", &["action", "resolution", "then"]),
    ("if_version", &["version", "etag", "ifmatch"]),
    ("column", &["field", "col", "of", "property"]),
    ("direction", &["dir", "order", "desc", "asc", "sort"]),
    ("bucket", &["interval", "granularity", "unit", "trunc", "datetrunc", "period"]),
    ("as", &["alias", "name", "label"]),
];

/// Which of the `known` arguments other interfaces call `given`.
///
/// ```
/// use mcp_pg_core::name::argument;
///
/// assert_eq!(argument("filters", ["table", "where"]), Some("where"));
/// assert_eq!(argument("limit", ["table", "max_rows"]), Some("max_rows"));
/// assert_eq!(argument("fields", ["table", "where"]), None);
/// ```
pub fn argument<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_ascii_lowercase().replace(['_', '-', '$'], "");
    let known: Vec<&str> = known.into_iter().collect();
    ELSEWHERE
        .iter()
        .filter(|(_, elsewhere)| elsewhere.contains(&given.as_str()))
        .find_map(|(here, _)| known.iter().copied().find(|name| name == here))
}
