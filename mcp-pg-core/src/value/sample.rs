//! Types for the tests of this module.

use std::sync::Arc;

use crate::schema::{Collation, DataType, Field, Kind};

fn make(oid: u32, name: &str, kind: Kind) -> Arc<DataType> {
    Arc::new(DataType {
        oid,
        name: name.to_owned(),
        kind,
        equality: true,
        ordering: true,
        distance: false,
        collation: Collation::default(),
        comment: None,
    })
}

pub(super) fn base(oid: u32, name: &str) -> Arc<DataType> {
    make(oid, name, Kind::Base)
}

pub(super) fn labels(labels: &[&str]) -> Arc<DataType> {
    make(90_001, "mood", Kind::Enum(labels.iter().map(|&label| label.to_owned()).collect()))
}

pub(super) fn array(element: &Arc<DataType>) -> Arc<DataType> {
    array_between(element, ',')
}

pub(super) fn array_between(element: &Arc<DataType>, delimiter: char) -> Arc<DataType> {
    let name = format!("{}[]", element.name);
    make(90_002, &name, Kind::Array { element: element.clone(), delimiter })
}

pub(super) fn domain(base: &Arc<DataType>) -> Arc<DataType> {
    make(
        90_003,
        "narrow",
        Kind::Domain {
            base: base.clone(),
            base_name: base.name.clone(),
            not_null: false,
            checks: Vec::new(),
        },
    )
}

pub(super) fn composite(fields: &[(&str, &Arc<DataType>)]) -> Arc<DataType> {
    let fields = fields.iter().map(|&(name, data_type)| Field {
        name: name.to_owned(),
        data_type: data_type.clone(),
        type_name: data_type.name.clone(),
    });
    make(90_004, "pair", Kind::Composite(fields.collect()))
}

pub(super) fn range(subtype: &Arc<DataType>) -> Arc<DataType> {
    make(90_005, "span", Kind::Range(subtype.clone()))
}

pub(super) fn multirange(range: &Arc<DataType>) -> Arc<DataType> {
    make(90_006, "spans", Kind::Multirange(range.clone()))
}
