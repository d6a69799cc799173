//! The shapes of groups and measures.

use super::{Shape, Shaped};
use crate::plan::{Cut, Group, Grouping, Measure};

impl Shaped for Grouping<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let Self { table, filter, groups, measures, computed } = self;
        shape.table(table);
        filter.add_to(shape);
        shape.all(groups);
        shape.all(measures);
        shape.all(computed);
    }
}

impl Shaped for Group<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        // In the statement, groups and measures are numbered.
        let Self { name: _, of, cut, each } = self;
        of.add_to(shape);
        shape.maybe(cut.as_ref());
        // The element type follows from the column.
        shape.tag(each.is_some().into());
    }
}

impl Shaped for Cut {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        // Whether there is a time zone follows from the column.
        let Self { part, times, unit, zone, naive: _ } = self;
        shape.tag((*part).into());
        shape.number((*times).into());
        shape.text(unit);
        shape.maybe(zone.as_ref());
    }
}

impl Shaped for Measure<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let Self { name: _, function, fraction, of, data_type, filter } = self;
        shape.tag(*function as u8);
        shape.maybe(fraction.as_ref());
        shape.maybe(of.as_ref());
        shape.number(data_type.oid.into());
        filter.add_to(shape);
    }
}
