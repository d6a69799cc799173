//! The number of related rows as a sort key.

use serde_json::{Map, Value};

use super::sort::choice;
use crate::error::{Code, Error, Result};
use crate::plan::{Expression, Predicate, Scope, Sort, SortKey, Total, filter};
use crate::policy::TableView;
use crate::request::check_members;

impl<'v> Scope<'v> {
    /// `{"count": "orders", "where": {…}, "direction": "desc"}`.
    pub(super) fn sort_by_count(
        &self,
        table: &'v TableView,
        object: &Map<String, Value>,
        at: &str,
    ) -> Result<Sort<'v>> {
        const MEMBERS: [&str; 4] = ["count", "where", "direction", "nulls"];
        let wrong = |message: String, member: &str| {
            let error = Error::new(Code::InvalidValue, message).at(format!("{at}/{member}"));
            error.hint("{\"count\": \"orders\", \"where\": {…}, \"direction\": \"desc\"}")
        };
        check_members(object, MEMBERS.into_iter(), "a sort key that counts has no member")
            .map_err(|error| error.inside(at))?;
        let descending = choice(object, "direction", "asc", "desc");
        let descending = descending.map_err(|error| error.inside(at))?.unwrap_or_default();
        // A count is never null: where nulls go makes no difference.
        choice(object, "nulls", "first", "last").map_err(|error| error.inside(at))?;
        let Some(name) = object.get("count").and_then(Value::as_str) else {
            return Err(wrong("expected a relation's name".to_owned(), "count"));
        };
        let hop = self.relation_to_many(table, name);
        let hop = hop.and_then(|relation| self.hop(table, relation));
        let hop = hop.map_err(|error| error.at(format!("{at}/count")))?;
        if hop.is_to_one() {
            return Err(wrong(format!("{name:?} is a to-one relation"), "count")
                .hint(format!("by a column of it: \"{name}.…\"")));
        }
        let filter = match object.get("where") {
            None | Some(Value::Null) => Predicate::always(),
            Some(Value::Object(inner)) => filter(self, hop.table, inner, &format!("{at}/where"))?,
            Some(_) => return Err(wrong("where is a condition object".to_owned(), "where")),
        };
        let count = Expression::Total(Box::new(Total::count(hop, filter)));
        Ok(Sort::by(SortKey::Computed(Box::new(count)), descending))
    }
}
