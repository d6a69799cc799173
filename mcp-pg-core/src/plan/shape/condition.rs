//! The shapes of conditions.

use super::{Shape, Shaped};
use crate::plan::{Comparison, Predicate, Words};

impl Shaped for Predicate<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        match self {
            Self::All(parts) => {
                shape.tag(0);
                shape.all(parts);
            }
            Self::Any(parts) => {
                shape.tag(1);
                shape.all(parts);
            }
            Self::Not(inner) => {
                shape.tag(2);
                inner.add_to(shape);
            }
            Self::Test { column, path, comparison } => {
                shape.tag(3);
                shape.column(column);
                shape.maybe(path.as_ref());
                comparison.add_to(shape);
            }
            Self::Related { hop, quantifier, filter } => {
                shape.tag(4);
                hop.add_to(shape);
                shape.tag(*quantifier as u8);
                filter.add_to(shape);
            }
            Self::Compared { left, operator, right } => {
                shape.tag(5);
                left.add_to(shape);
                shape.text(operator.as_str());
                right.add_to(shape);
            }
            Self::Computed { value, comparison } => {
                shape.tag(7);
                value.add_to(shape);
                comparison.add_to(shape);
            }
            Self::Counted { hop, filter, test } => {
                shape.tag(6);
                hop.add_to(shape);
                filter.add_to(shape);
                test.add_to(shape);
            }
        }
    }
}

impl Shaped for Comparison {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        match self {
            Self::Null(wanted) => {
                shape.tag(0);
                shape.tag((*wanted).into());
            }
            Self::Binary(operator, operand) => {
                shape.tag(1);
                shape.text(operator.as_str());
                operand.add_to(shape);
            }
            Self::Listed(negated, list) => {
                shape.tag(2);
                shape.tag((*negated).into());
                list.add_to(shape);
            }
            Self::Search(words) => {
                shape.tag(4);
                words.add_to(shape);
            }
            Self::ContainsElement(type_name, operand) => {
                shape.tag(3);
                shape.text(type_name);
                operand.add_to(shape);
            }
            Self::ContainsSome(type_name, operand) => {
                shape.tag(6);
                shape.text(type_name);
                operand.add_to(shape);
            }
            Self::ContainedBy(type_name, operand) => {
                shape.tag(5);
                shape.text(type_name);
                operand.add_to(shape);
            }
        }
    }
}

impl Shaped for Words {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let Self { text, language } = self;
        text.add_to(shape);
        shape.text(language.as_ref().map_or("", |language| &language.identifier));
    }
}
