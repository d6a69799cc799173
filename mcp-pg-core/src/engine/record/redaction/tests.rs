use std::sync::atomic::Ordering;

use super::*;
use crate::policy::{Action, Role, Settings};
use crate::schema::{DataType, Schema};

/// The redaction for a role that reads everything, of which `pay` is sensitive.
fn redaction() -> Redaction {
    let mut settings = Settings::default();
    settings.columns.sensitive = vec!["public.people.pay".into()];
    let role = Role::everywhere("reader", Action::ALL);
    let view = View::new(&Schema::default(), &role, &settings);
    Redaction::new(&settings.audit, Some(Arc::new(view)))
}

/// A new word of the grammar must not make an operand known.
#[test]
fn what_is_compared_with_a_computed_value_is_hidden_for_every_word() {
    let redaction = redaction();
    let hidden = |condition: &Value| {
        let arguments = json!({"table": "people", "where": condition});
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        [false, true]
            .map(|refused| redaction.arguments(&arguments, refused).to_string())
            .iter()
            .all(|text| !text.contains("4711"))
    };
    for operation in operations() {
        for of in [json!("pay"), json!("orders.pay"), json!(["pay", 1]), json!({"add": ["pay", 1]})]
        {
            for operator in DataType::numeric().operators() {
                let test = json!({ operation: of, operator.as_str(): 4711 });
                assert!(operation == COUNT || hidden(&test), "{test}");
                let computed = json!({ COMPUTE: test });
                assert!(hidden(&computed), "{computed}");
                for word in LOGICAL.into_iter().chain(QUANTIFIERS).filter(|word| *word != COUNT) {
                    let within = json!({ word: computed });
                    assert!(hidden(&within), "{within}");
                }
            }
        }
    }
}

/// The number of names that are looked up in deeply nested arguments.
fn looked_up(depth: usize, around: impl Fn(Value) -> Value) -> usize {
    let redaction = redaction();
    let members: Map<String, Value> =
        (0..2_000).map(|number| (format!("k{number}"), json!(number))).collect();
    let nested = (0..depth).fold(json!(members), |inner, _| around(inner));
    let arguments = json!({"table": "people", "where": nested, "measures": nested});
    redaction.arguments(arguments.as_object().unwrap_or(&Map::new()), true);
    redaction.hidden.asked.load(Ordering::Relaxed)
}

#[test]
fn each_part_is_looked_at_once_however_deep() {
    let around: [fn(Value) -> Value; 5] = [
        |inner| json!({"having": 1, "measures": inner}),
        |inner| json!({"order_by": inner, "columns": 1}),
        |inner| json!({"compute": inner}),
        |inner| json!({"add": inner, "eq": 1}),
        |inner| json!([{"or": [inner]}]),
    ];
    for around in around {
        let (flat, deep) = (looked_up(0, around), looked_up(80, around));
        assert!(deep < 2 * flat, "{}: {flat}, {deep}", around(json!(0)));
    }
}
