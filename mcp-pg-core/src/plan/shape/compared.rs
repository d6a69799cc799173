//! The shapes of operands that are not values.

use super::{Shape, Shaped};
use crate::plan::{Compared, Counted, End, Moved, Now, Period, Point};

impl Shaped for Compared<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        match self {
            Self::Column(reached) => {
                shape.tag(0);
                reached.add_to(shape);
            }
            Self::Count(counted) => {
                shape.tag(1);
                counted.add_to(shape);
            }
            Self::Now(now) => {
                shape.tag(2);
                now.add_to(shape);
            }
            Self::Computed(expression) => {
                shape.tag(3);
                expression.add_to(shape);
            }
            Self::Part { of, cut } => {
                shape.tag(4);
                of.add_to(shape);
                cut.add_to(shape);
            }
            Self::Period(period) => {
                shape.tag(5);
                period.add_to(shape);
            }
        }
    }
}

impl Shaped for Period {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        // The element type follows from the range type.
        let Self { data_type, element: _, ends, bounds } = self;
        shape.text(&data_type.name);
        shape.text(bounds);
        for end in ends {
            match end {
                End::Open => shape.tag(0),
                End::Now(now) => {
                    shape.tag(1);
                    now.add_to(shape);
                }
                End::Value(operand) => {
                    shape.tag(2);
                    operand.add_to(shape);
                }
            }
        }
    }
}

impl Shaped for Counted<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let Self { hop, filter } = self;
        hop.add_to(shape);
        filter.add_to(shape);
    }
}

impl Shaped for Now {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let Self { clock, offset } = self;
        shape.tag(*clock as u8);
        shape.maybe(offset.as_ref());
    }
}

impl Shaped for Point<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        match self {
            Self::Column(reached) => {
                shape.tag(0);
                reached.add_to(shape);
            }
            Self::Now(now) => {
                shape.tag(1);
                now.add_to(shape);
            }
            Self::Moved(moved) => {
                shape.tag(2);
                moved.add_to(shape);
            }
            Self::Total(total) => {
                shape.tag(3);
                total.add_to(shape);
            }
        }
    }
}

impl Shaped for Moved<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let Self { of, by, within } = self;
        of.add_to(shape);
        by.add_to(shape);
        within.iter().for_each(|end| end.add_to(shape));
    }
}
