//! `in` and `not_in`.

use std::sync::Arc;

use serde_json::Value;

use super::comparison::{Comparison, no_dates};
use super::filter::{Parser, wrong};
use crate::error::{Result, below};
use crate::plan::expression::now;
use crate::plan::{Operand, Scope, Slot};
use crate::schema::{DataType, Family, Operator};

impl<'v> Parser<'_, 'v> {
    /// Tests for `in` or `not_in`. Unlike in SQL, the list may contain null.
    pub(super) fn list(
        &self,
        column: &Slot<'v>,
        member: bool,
        operator: Operator,
        value: &Value,
        at: &str,
    ) -> Result<Comparison> {
        let negated = operator == Operator::NotIn;
        self.scope.short(value, at)?;
        let own = column.data_type.is_text() && !member && !self.scope.of_grant;
        if own && may_be_several(value) {
            let message = format!("{operator} takes a list, and this text may be one or several");
            return Err(wrong(message, at));
        }
        let items = items(value);
        if items.is_empty() {
            let none = Vec::new();
            return Ok(if negated { Comparison::All(none) } else { Comparison::Any(none) });
        }
        let subject = Subject { scope: self.scope, column, member, at };
        let (nulls, items): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| item.literal().is_null());
        subject.refuse_dates(&items)?;
        // The values of references are not known yet, so they cannot be part of an array.
        let (references, items): (Vec<_>, Vec<_>) = items.into_iter().partition(Item::is_reference);
        let listed = subject.listed(&items, negated)?;
        let referred: Vec<_> =
            references.iter().map(|item| subject.equal(item)).collect::<Result<_>>()?;
        let listed = match (referred.is_empty(), negated) {
            (true, _) => listed,
            (false, false) => Comparison::Any([vec![listed], referred].concat()),
            (false, true) => {
                Comparison::All(vec![listed, Comparison::Not(Box::new(Comparison::Any(referred)))])
            }
        };
        Ok(match (nulls.is_empty(), negated) {
            (true, _) => listed,
            (false, false) => Comparison::Any(vec![listed, Comparison::Null(true)]),
            (false, true) => Comparison::All(vec![listed, Comparison::Null(false)]),
        })
    }
}

/// Whether this is a text with commas in place of a list.
fn may_be_several(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains(','))
}

/// The items of a list, or a lone value as its only item.
fn items(value: &Value) -> Vec<Item<'_>> {
    match value {
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.map(|(index, value)| Item { index: Some(index), value }).collect()
        }
        value => vec![Item { index: None, value }],
    }
}

/// An item of a list.
struct Item<'i> {
    /// Its position; `None` for a lone value.
    index: Option<usize>,
    value: &'i Value,
}

impl<'i> Item<'i> {
    /// Where the item is in the request, if its list is at `at`.
    fn place(&self, at: &str) -> String {
        match self.index {
            Some(index) => below(at, &index.to_string()),
            None => at.to_owned(),
        }
    }

    /// Whether the item is `{"$ref": …}`.
    fn is_reference(&self) -> bool {
        let members = self.value.as_object();
        members.is_some_and(|members| members.len() == 1 && members.contains_key("$ref"))
    }

    /// The value, also if it is written as `{"$literal": …}`.
    fn literal(&self) -> &'i Value {
        let members = self.value.as_object().filter(|members| members.len() == 1);
        members.and_then(|members| members.get("$literal")).unwrap_or(self.value)
    }
}

/// What is compared with the items: the value of a column, or the part of its JSON at a path.
struct Subject<'s, 'v> {
    scope: &'s Scope<'v>,
    column: &'s Slot<'v>,
    /// Whether it is such a part.
    member: bool,
    /// Where the list is in the request.
    at: &'s str,
}

impl<'v> Subject<'_, 'v> {
    fn data_type(&self) -> &Arc<DataType> {
        match self.member {
            false => &self.column.data_type,
            true => DataType::jsonb(),
        }
    }

    fn type_name(&self) -> &str {
        match self.member {
            false => &self.column.type_name,
            true => &DataType::jsonb().name,
        }
    }

    fn operand(&self, item: &Item<'_>) -> Result<Operand> {
        let at = item.place(self.at);
        self.scope.operand_of(self.data_type(), self.type_name(), item.value, &at)
    }

    fn equal(&self, item: &Item<'_>) -> Result<Comparison> {
        Ok(Comparison::Binary(Operator::Eq, self.operand(item)?))
    }

    /// Refuses the current time as an item for JSON, which has no dates.
    fn refuse_dates(&self, items: &[Item<'_>]) -> Result<()> {
        let date = items.iter().find(|item| now::asked(item.value).is_some());
        match date.filter(|_| self.member) {
            Some(item) => Err(no_dates(&item.place(self.at))),
            None => Ok(()),
        }
    }

    /// The test of the items whose values are known, none of them null.
    fn listed(&self, items: &[Item<'_>], negated: bool) -> Result<Comparison> {
        // An array of arrays would be one flat list to PostgreSQL.
        if self.data_type().family() == Family::Array {
            let equal = items.iter().map(|item| self.equal(item));
            let any = Comparison::Any(equal.collect::<Result<_>>()?);
            return Ok(if negated { Comparison::Not(Box::new(any)) } else { any });
        }
        let list = DataType::list_of(self.data_type());
        let values = Value::Array(items.iter().map(|item| item.literal().clone()).collect());
        let operand = self.scope.operand_of(&list, &list.name, &values, self.at);
        let operand = operand.or_else(|error| {
            // Positions in the array do not count nulls; an item that is encoded alone has the right place.
            let each = items.iter().map(|item| self.operand(item));
            each.collect::<Result<Vec<_>>>().and(Err(error))
        })?;
        Ok(Comparison::Listed(negated, operand))
    }
}
