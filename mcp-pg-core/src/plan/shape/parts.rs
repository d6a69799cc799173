//! The parts of plans that their statements depend on.

use super::{Shape, Shaped};
use crate::plan::{
    After, Arithmetic, Clock, Comparison, Computed, Cut, End, Expression, Function, Group,
    Grouping, Hop, Include, Measure, Moved, Now, Operand, Period, Predicate, Quantifier, Reached,
    Room, RowFilter, SelectPlan, Shown, Slot, Sort, SortKey, Start, Total, Unit, Unnested, Words,
};
use crate::policy::TableView;
use crate::schema::{Column, DataType, Junction, Language, Operator, Part, Relation};

/// Implements [`Shaped`] for structs by all of their fields. Those after a semicolon do not affect the statement. The
/// compiler reports a field that is not listed.
macro_rules! structs {
    ($($name:ty { $($field:ident),+ $(; $($other:ident),+)? })+) => {$(
        impl Shaped for $name {
            fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
                let Self { $($field,)+ $($($other: _,)+)? } = self;
                $($field.add_to(shape);)+
            }
        }
    )+};
}

/// The same for enums, whose variants are told apart by their numbers in the list.
macro_rules! enums {
    ($($name:ty {
        $($variant:ident
            $(($($value:ident),+))?
            $({ $($field:ident),+ $(; $($other:ident),+)? })?
        ),+ $(,)?
    })+) => {$(
        impl Shaped for $name {
            fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
                enum Tag { $($variant),+ }
                match self {$(
                    Self::$variant $(($($value),+))? $({ $($field,)+ $($($other: _,)+)? })? => {
                        shape.tag(Tag::$variant as u8);
                        $($($value.add_to(shape);)+)?
                        $($($field.add_to(shape);)+)?
                    }
                )+}
            }
        }
    )+};
}

/// The same for enums whose variants contain nothing.
macro_rules! tags {
    ($($name:ty),+) => {$(
        impl Shaped for $name {
            fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
                shape.tag(*self as u8);
            }
        }
    )+};
}

structs! {
    SelectPlan<'_> {
        table, grouping, columns, includes, filter, order, keyset, single, with_version, start, limit;
        // These affect the reply or other statements only.
        count, format, query
    }
    RowFilter<'_> { caller, archive, role }
    After { values, skip; keys }
    Hop<'_> { subject, relation, table, visible, junction }
    Relation { unambiguous, columns, junction; name, alias, shared, kind, table, constraint }
    Junction { columns; table, repeats }
    // Names and marks are those of the reply.
    Include<'_> {
        hop, columns, filter, order, limit, counted, includes, room;
        name, unambiguous, mark
    }
    Computed<'_> { of; name }
    Sort<'_> { key, shown, nullable, descending, nulls_last }

    // In the statement, groups and measures are numbered.
    Grouping<'_> { table, filter, groups, measures, computed }
    Group<'_> { of, cut, each; name }
    Measure<'_> { function, fraction, of, data_type, filter; name }
    // Whether there is a time zone follows from the column.
    Cut { part, times, unit, zone; naive }

    Reached<'_> { hops, column, position, member }
    Moved<'_> { of, by, within }
    Now { clock, offset }
    // Its columns are those of what it is a total of.
    Total<'_> { function, hop, filter, of, bare; columns, conditions, depth }
    // The element type follows from the range type.
    Period { data_type, ends, bounds; element }
    Words { text, language }
    Language { identifier; name }
}

enums! {
    Start { Offset(rows), After(after) }
    SortKey<'_> {
        Value(of),
        Rank(of, words),
        Distance(of, from),
        Computed(of),
        Place,
    }
    Shown<'_> { Column(position), Computed(computed), Related { of; name } }
    Unnested { Elements(element), Rows { before } }

    Predicate<'_> {
        All(parts),
        Any(parts),
        Not(inner),
        Test { column, path, comparison },
        Computed { value, comparison },
        Compared { left, operator, right },
        Related { hop, quantifier, filter },
    }
    Comparison {
        Null(wanted),
        Binary(operator, operand),
        Search(words),
        Listed(negated, list),
        ContainsElement(type_name, operand),
        ContainsSome(type_name, operand),
        ContainedBy(type_name, operand),
        All(parts),
        Any(parts),
        Not(inner),
    }

    Expression<'_> {
        Column(reached),
        Number(number),
        Given(operand, data_type),
        Now(now),
        Computed(arithmetic, operands),
        Elapsed(ends, unit),
        Moved(moved),
        Total(total),
        Part { of, cut },
        Period(period),
        Whole(of),
    }
    Room { Each(bytes), All(bytes) }
    End { Open, Now(now), Value(operand) }
    Part {
        Lower,
        Upper,
        Field(name),
        Element(index),
        Member(key),
        Text(key),
        TextAt(path),
    }
}

tags! { Arithmetic, Clock, Function, Operator, Quantifier, Unit }

impl Shaped for Operand {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        shape.tag(self.is_null().into());
        shape.operands.push(self);
    }
}

impl Shaped for TableView {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let name = self.name();
        name.schema.add_to(shape);
        name.name.add_to(shape);
    }
}

impl Shaped for Slot<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let column: &Column = self;
        column.identifier().add_to(shape);
        column.data_type.add_to(shape);
        column.parts.add_to(shape);
    }
}

impl Shaped for DataType {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        self.oid.add_to(shape);
    }
}
