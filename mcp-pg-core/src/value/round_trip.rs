//! Property tests: encoded values of any type are decoded to the same values.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Decoder, datetime, encode, numeric, sample};
use crate::schema::{DataType, Kind};

fn types() -> impl Strategy<Value = Arc<DataType>> {
    let scalars =
        [16, 17, 20, 21, 23, 25, 26, 700, 701, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802];
    let leaf = prop_oneof![
        10 => prop::sample::select(scalars.to_vec()).prop_map(|oid| sample::base(oid, "t")),
        1 => Just(sample::labels(&["a", "NULL", "", "b c", "\"{,}\\"])),
    ];
    let spans = leaf.clone().prop_map(|leaf| sample::range(&leaf));
    prop_oneof![4 => leaf, 1 => spans].prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| sample::array(&inner)),
            inner.clone().prop_map(|inner| sample::domain(&inner)),
            inner.clone().prop_map(|inner| sample::multirange(&sample::range(&inner))),
            (inner.clone(), inner).prop_map(|(a, b)| sample::composite(&[
                ("a", &a),
                ("b \"c\"", &b),
                ("d", &a)
            ])),
        ]
    })
}

fn value_of(data_type: &DataType) -> BoxedStrategy<Value> {
    let data_type = data_type.base();
    match &data_type.kind {
        Kind::Array { element, .. } => {
            let element = option_of(value_of(element));
            prop::collection::vec(element, 0..4).prop_map(Value::from).boxed()
        }
        Kind::Composite(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|field| (Just(field.name.clone()), option_of(value_of(&field.data_type))))
                .collect();
            fields.prop_map(|members| Value::Object(members.into_iter().collect())).boxed()
        }
        Kind::Range(subtype) => {
            let bound = option_of(value_of(subtype));
            let bounds = prop::sample::select(vec!["[)", "(]", "[]", "()"]);
            let some = (bound.clone(), bound, bounds).prop_map(
                |(lower, upper, bounds)| json!({"lower": lower, "upper": upper, "bounds": bounds}),
            );
            let empty = json!({"lower": null, "upper": null, "bounds": "empty"});
            prop_oneof![5 => some, 1 => Just(empty)].boxed()
        }
        Kind::Multirange(range) => {
            prop::collection::vec(value_of(range), 0..3).prop_map(Value::from).boxed()
        }
        Kind::Enum(labels) => prop::sample::select(labels.clone()).prop_map(Value::from).boxed(),
        Kind::Base | Kind::Domain { .. } => scalar(data_type.oid),
    }
}

fn scalar(oid: u32) -> BoxedStrategy<Value> {
    match oid {
        16 => any::<bool>().prop_map(Value::from).boxed(),
        17 => any::<Vec<u8>>().prop_map(|bytes| STANDARD.encode(bytes).into()).boxed(),
        20 => any::<i64>().prop_map(numeric::from_integer).boxed(),
        21 => any::<i16>().prop_map(Value::from).boxed(),
        23 => any::<i32>().prop_map(Value::from).boxed(),
        26 => any::<u32>().prop_map(Value::from).boxed(),
        700 => any::<f32>().prop_map(numeric::from_real).boxed(),
        701 => any::<f64>().prop_map(numeric::from_double).boxed(),
        1082 => any::<i32>().prop_map(datetime::date).boxed(),
        1083 => (0..=86_400_000_000_i64).prop_map(datetime::time).boxed(),
        1114 => any::<i64>().prop_map(|micros| datetime::timestamp(micros, "")).boxed(),
        1184 => any::<i64>().prop_map(|micros| datetime::timestamp(micros, "Z")).boxed(),
        1700 => "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?"
            .prop_map(|text| numeric::from_text(&text))
            .boxed(),
        2950 => any::<[u8; 16]>()
            .prop_map(|bytes| uuid::Uuid::from_bytes(bytes).to_string().into())
            .boxed(),
        3802 => json_values().boxed(),
        _ => texts().prop_map(Value::from).boxed(),
    }
}

/// Texts, often with the special characters of literals.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>().prop_map(|text| text.replace('\0', "")),
        "[\"\\\\{}(),\\[\\] \tNULnulé;]{0,8}",
    ]
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((texts(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    // A top-level null would be SQL NULL.
    .prop_map(|value| if value.is_null() { json!([null]) } else { value })
}

fn option_of(strategy: BoxedStrategy<Value>) -> impl Strategy<Value = Value> + Clone {
    prop_oneof![1 => Just(Value::Null), 4 => strategy]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        (data_type, value) in types().prop_flat_map(|data_type| {
            let value = value_of(&data_type);
            (Just(data_type), value)
        })
    ) {
        let text = encode(&data_type, "t", &value).unwrap().unwrap();
        // In a composite, every value is decoded from its text.
        let outer = sample::composite(&[("v", &data_type)]);
        let literal = encode(&outer, "t", &json!({"v": value.clone()})).unwrap().unwrap();
        let read = Decoder::for_type(&outer).decode(Some(literal.as_bytes())).unwrap();
        prop_assert_eq!(&read["v"], &value, "{}", text);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(data_type in types(), raw in any::<Vec<u8>>()) {
        let _ = Decoder::for_type(&data_type).decode(Some(&raw));
    }

    #[test]
    fn no_value_makes_the_encoder_panic(data_type in types(), value in json_values()) {
        let _ = encode(&data_type, "t", &value);
    }
}
