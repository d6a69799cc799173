//! The JSON Schemas of a canned query's arguments and reply.

use serde_json::{Map, Value, json};

use super::Parameter;
use super::query::Query;
use crate::policy::View;
use crate::value;

impl Query {
    /// The JSON Schema of the arguments. A parameter without a description gets the comment of a column that the caller may see.
    pub fn input_schema(&self, view: &View) -> Map<String, Value> {
        let comment = |column: &str| {
            let mut comments = view
                .tables()
                .iter()
                .filter(|table| self.names.contains(&table.name().name))
                .filter_map(|table| table.table.column(column))
                .filter(|(_, column)| column.can_select)
                .filter_map(|(_, column)| column.comment.clone());
            let first = comments.next();
            // If columns of two tables have this name, only PostgreSQL knows which is meant.
            first.filter(|first| comments.all(|other| other == *first))
        };
        let own = self.parameters.iter().filter(|parameter| parameter.is_argument());
        let mut own: Vec<&Parameter> = own.collect();
        // In the order of their declarations.
        own.sort_by_key(|parameter| parameter.position);
        let properties = own.iter().map(|p| (p.name.clone(), Value::Object(p.schema(comment))));
        let mut properties: Map<String, Value> = properties.collect();
        for name in self.write_arguments() {
            let schema = match name {
                "dry_run" => {
                    json!({"type": "boolean", "description": "Show what would happen, save nothing."})
                }
                _ => json!({"type": "integer", "description": "Most rows that may be written."}),
            };
            properties.insert(name.to_owned(), schema);
        }
        let required: Vec<&str> = self
            .parameters
            .iter()
            .filter(|parameter| parameter.is_required())
            .map(|parameter| parameter.name.as_str())
            .collect();
        let mut schema = Map::new();
        schema.insert("type".into(), "object".into());
        schema.insert("properties".into(), Value::Object(properties));
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
        schema.insert("additionalProperties".into(), false.into());
        schema
    }

    /// The JSON Schema of the reply.
    pub fn output_schema(&self) -> Map<String, Value> {
        let columns: Map<String, Value> = self
            .columns
            .iter()
            .map(|column| (column.name.clone(), value::produced(&column.data_type)))
            .collect();
        let row = json!({"type": "object", "properties": columns});
        let mut schema = Map::new();
        schema.insert("type".into(), "object".into());
        schema.insert(
            "properties".into(),
            json!({
                "rows": {"type": "array", "items": row},
                "row_count": {"type": "integer"},
                "truncated": {"type": "boolean"},
                // Clients check errors against the same schema, so no member is required.
                "error": {"type": "object"},
            }),
        );
        schema
    }
}
