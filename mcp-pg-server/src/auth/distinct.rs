//! JSON in which no name appears twice in an object. Where one does, some programs read the first and others the last:
//! who issued it and who reads it may each mean another.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Reads any JSON, keeps nothing of it, and refuses a name that stands twice.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Distinct {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, Self)) = members.next_entry::<String, Self>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a name appears twice"));
            }
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while let Some(Self) = items.next_element()? {}
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}

/// Whether the text is JSON without a name that stands twice in one object, however deep.
pub(super) fn is_distinct(json: &[u8]) -> bool {
    serde_json::from_slice::<Distinct>(json).is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_distinct;

    #[test]
    fn a_name_stands_once_in_an_object() {
        for (json, distinct) in [
            (r#"{"a": 1, "b": {"a": -1, "c": [null, true, 1.5, "x"]}}"#, true),
            (r#"[{"a": 1}, {"a": 1}]"#, true),
            (r#"{"a": 1, "b": 2, "a": 1}"#, false),
            (r#"{"a": 1, "\u0061": 1}"#, false),
            (r#"{"a": [{"b": {"c": 1, "c": 2}}]}"#, false),
            ("{", false),
            ("{} {}", false),
        ] {
            assert_eq!(is_distinct(json.as_bytes()), distinct, "{json}");
        }
    }
}
