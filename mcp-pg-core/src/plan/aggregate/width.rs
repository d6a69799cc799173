//! Groups of numbers, each as wide as the others: `{"column": "price", "bucket": 10}`.

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result, step};
use crate::plan::grammar::{BUCKETS, EACH, PART, TIME_ZONE};
use crate::plan::{Operand, Reached, Scope};
use crate::schema::DataType;

impl Scope<'_> {
    /// How wide the groups of numbers are that an object asks for, whose value is `of` and is called `name`.
    ///
    /// # Errors
    ///
    /// `invalid_value`, at the member of the object.
    pub(super) fn width(
        &self,
        options: &Map<String, Value>,
        of: &Reached<'_>,
        name: &str,
        place: &str,
    ) -> Result<Option<Operand>> {
        const AT: &str = "/bucket";
        let data_type = of.data_type();
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let (width, number) = match options.get("bucket") {
            Some(width @ Value::Number(number)) => (width, number.as_f64()),
            // A number as a text of its digits.
            Some(width @ Value::String(text))
                if data_type.is_amount() && number(text).is_some() =>
            {
                (width, number(text))
            }
            _ => return Ok(None),
        };
        let wrong = |message: String, at: &str| Error::new(Code::InvalidValue, message).at(at);
        let mut beside = [PART, TIME_ZONE, EACH].into_iter();
        let beside = beside.find(|member| options.get(*member).is_some_and(|is| !is.is_null()));
        if let Some(member) = beside {
            let message = format!("a bucket of numbers goes without a {member}");
            return Err(wrong(message, &step(member)));
        }
        if of.member.is_none() && !data_type.is_amount() {
            let message = format!("{name} is {}, not a number", data_type.base().name);
            let error = wrong(message, AT);
            return Err(if data_type.has_day() { error.allowed(BUCKETS) } else { error });
        }
        if number.is_none_or(|number| number <= 0.0) {
            return Err(wrong("a bucket is wider than 0".to_owned(), AT).hint("{\"bucket\": 10}"));
        }
        let mut width = self.operand_of(DataType::numeric(), "numeric", width, AT)?;
        width.move_inside(place);
        Ok(Some(width))
    }
}
