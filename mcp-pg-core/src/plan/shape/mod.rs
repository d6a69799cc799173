//! The shape of a plan: everything in it except the values of its operands. Plans of the same shape have the same SQL
//! text. All types are destructured completely, so that the compiler reports new fields.

mod compared;
mod condition;
mod grouping;

use super::{
    Computed, Expression, Hop, Include, Operand, Reached, SelectPlan, Shown, Sort, SortKey, Start,
    Total,
};
use crate::policy::TableView;
use crate::schema::{Column, Part, Relation};

/// The shape of a plan. Within a view, plans with equal keys have the same SQL text, with their operands in the same
/// places.
#[derive(Debug, Default)]
pub struct Shape<'p> {
    /// What the statement depends on.
    pub key: Vec<u8>,
    /// The plan's operands, in the order in which they are found.
    pub operands: Vec<&'p Operand>,
}

impl<'p> Shape<'p> {
    /// The shape of the plan's page.
    pub fn of(plan: &'p SelectPlan<'_>) -> Self {
        let mut shape = Self { key: Vec::with_capacity(512), operands: Vec::new() };
        plan.add_to(&mut shape);
        shape
    }

    fn tag(&mut self, tag: u8) {
        self.key.push(tag);
    }

    fn number(&mut self, number: u64) {
        // Most numbers are small, and short keys are hashed faster.
        match u8::try_from(number) {
            Ok(small) if small < u8::MAX => self.tag(small),
            _ => {
                self.tag(u8::MAX);
                self.key.extend_from_slice(&number.to_le_bytes());
            }
        }
    }

    fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.key.extend_from_slice(text.as_bytes());
    }

    fn pairs(&mut self, pairs: &[(usize, usize)]) {
        self.length(pairs.len());
        for (ours, theirs) in pairs {
            self.length(*ours);
            self.length(*theirs);
        }
    }

    fn table(&mut self, table: &TableView) {
        let name = table.name();
        self.text(&name.schema);
        self.text(&name.name);
    }

    fn column(&mut self, column: &Column) {
        self.text(column.identifier());
        self.number(column.data_type.oid.into());
        self.length(column.parts.len());
        for part in &column.parts {
            match part {
                Part::Lower => self.tag(0),
                Part::Upper => self.tag(1),
                Part::Field(name) => {
                    self.tag(2);
                    self.text(name);
                }
                Part::Element(place) => {
                    self.tag(3);
                    self.key.extend_from_slice(&place.to_le_bytes());
                }
                Part::Member(key) => {
                    self.tag(4);
                    self.text(key);
                }
                Part::Text(key) => {
                    self.tag(5);
                    self.text(key);
                }
                Part::TextAt(path) => {
                    self.tag(6);
                    self.text(path);
                }
            }
        }
    }

    fn relation(&mut self, relation: &Relation) {
        self.text(&relation.unambiguous);
        self.pairs(&relation.columns);
        self.tag(relation.junction.is_some().into());
        if let Some(junction) = &relation.junction {
            self.pairs(&junction.columns);
        }
    }

    fn all<T: Shaped>(&mut self, parts: &'p [T]) {
        self.length(parts.len());
        parts.iter().for_each(|part| part.add_to(self));
    }

    fn maybe<T: Shaped>(&mut self, part: Option<&'p T>) {
        self.tag(part.is_some().into());
        if let Some(part) = part {
            part.add_to(self);
        }
    }
}

/// A part of a plan that its statement depends on.
trait Shaped {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>);
}

impl Shaped for SelectPlan<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let Self {
            table,
            grouping,
            columns,
            includes,
            filter,
            order,
            keyset,
            single,
            start,
            limit,
            with_version,
            // These affect the reply or other statements only.
            count: _,
            format: _,
            query: _,
        } = self;
        shape.table(table);
        shape.maybe(grouping.as_ref());
        shape.all(columns);
        shape.all(includes);
        filter.add_to(shape);
        shape.all(order);
        [*keyset, *single, *with_version].into_iter().for_each(|flag| shape.tag(flag.into()));
        start.add_to(shape);
        shape.number(*limit);
    }
}

impl Shaped for Operand {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        shape.tag(self.is_null().into());
        shape.operands.push(self);
    }
}

impl Shaped for Start {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        match self {
            Self::Offset(offset) => {
                shape.tag(0);
                shape.number(*offset);
            }
            Self::After(after) => {
                shape.tag(1);
                shape.all(&after.values);
                shape.number(after.skip);
            }
        }
    }
}

impl Shaped for Hop<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let Self { subject, relation, table, visible, junction } = self;
        shape.table(subject);
        shape.relation(relation);
        shape.table(table);
        visible.add_to(shape);
        shape.tag(junction.is_some().into());
        if let Some((middle, visible)) = junction {
            shape.table(middle);
            visible.add_to(shape);
        }
    }
}

impl Shaped for Include<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let Self {
            // Names in the reply.
            name: _,
            unambiguous: _,
            mark: _,
            hop,
            columns,
            filter,
            order,
            limit,
            counted,
            includes,
        } = self;
        hop.add_to(shape);
        shape.all(columns);
        filter.add_to(shape);
        shape.all(order);
        shape.number(*limit);
        shape.tag((*counted).into());
        shape.all(includes);
    }
}

impl Shaped for Sort<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let Self { key, shown, nullable, descending, nulls_last } = self;
        key.add_to(shape);
        shape.number(shown.map_or(0, |shown| shown as u64 + 1));
        [*nullable, *descending, *nulls_last].into_iter().for_each(|flag| shape.tag(flag.into()));
    }
}

impl Shaped for SortKey<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        match self {
            Self::Value(of) => {
                shape.tag(0);
                of.add_to(shape);
            }
            Self::Rank(of, words) => {
                shape.tag(1);
                of.add_to(shape);
                words.add_to(shape);
            }
            Self::Distance(of, from) => {
                shape.tag(2);
                of.add_to(shape);
                from.add_to(shape);
            }
            Self::Count(counted) => {
                shape.tag(3);
                counted.add_to(shape);
            }
            Self::Computed(expression) => {
                shape.tag(4);
                expression.add_to(shape);
            }
            Self::Place => shape.tag(5),
        }
    }
}

impl Shaped for Shown<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        match self {
            Self::Column(position) => {
                shape.tag(0);
                shape.length(*position);
            }
            Self::Computed(computed) => {
                shape.tag(1);
                computed.add_to(shape);
            }
            Self::Related { name: _, of } => {
                shape.tag(2);
                of.add_to(shape);
            }
        }
    }
}

impl Shaped for Computed<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let Self { name: _, of } = self;
        of.add_to(shape);
    }
}

impl Shaped for Expression<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        match self {
            Self::Column(reached) => {
                shape.tag(0);
                reached.add_to(shape);
            }
            Self::Number(number) => {
                shape.tag(1);
                number.add_to(shape);
            }
            Self::Computed(arithmetic, operands) => {
                shape.tag(2);
                shape.tag(*arithmetic as u8);
                shape.all(operands);
            }
            Self::Elapsed(ends, unit) => {
                shape.tag(3);
                shape.tag(*unit as u8);
                ends.iter().for_each(|end| end.add_to(shape));
            }
            Self::Moved(moved) => {
                shape.tag(4);
                moved.add_to(shape);
            }
            Self::Total(total) => {
                shape.tag(5);
                total.add_to(shape);
            }
        }
    }
}

impl Shaped for Total<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        // Its columns are those of what it is a total of.
        let Self { function, rows, of, columns: _, conditions: _, depth: _ } = self;
        shape.tag(*function as u8);
        rows.add_to(shape);
        shape.maybe(of.as_ref());
    }
}

impl Shaped for Reached<'_> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        let Self { hops, column, position, member } = self;
        shape.all(hops);
        shape.column(column);
        shape.length(*position);
        shape.maybe(member.as_ref());
    }
}
