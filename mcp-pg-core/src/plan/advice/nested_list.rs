//! Notes on paths that find nothing, because they may lead through a list in JSON.

use super::remark::elements;
use crate::plan::{Comparison, Operand, SelectPlan, Slot, Source, Unnested};
use crate::schema::{DataType, Operator};

/// The note on a test of a member, where no row passed it.
pub(super) fn in_elements(
    column: &Slot<'_>,
    path: &Operand,
    comparison: &Comparison,
) -> Option<String> {
    let steps = names(path)?;
    let (member, before) = steps.split_last()?;
    let list = before.last()?;
    if matches!(comparison, Comparison::Null(_)) {
        return None;
    }
    let jsonb = column.data_type.base().oid == DataType::jsonb().oid;
    let condition = match comparison {
        Comparison::Binary(Operator::Eq, Operand { source: Source::Text(Some(text)), .. })
            if jsonb =>
        {
            let element = format!("[{{{member:?}: {text}}}]");
            let whole =
                before.iter().rev().fold(element, |inner, step| format!("{{{step:?}: {inner}}}"));
            format!("{} looks at all", column.condition(&format!("\"contains\": {whole}")))
        }
        _ => {
            let before: Vec<String> = before.iter().map(|step| format!("{step:?}")).collect();
            format!("\"path\": [{}, 0, {member:?}] is that of the first", before.join(", "))
        }
    };
    Some(format!("a path does not lead into the elements of a list, if {list} is one: {condition}"))
}

impl SelectPlan<'_> {
    /// The note on groups by the elements of a list at a path, where no row has any.
    pub(crate) fn without_elements(&self) -> Option<String> {
        let grouping = self.grouping.as_ref()?;
        grouping.groups.iter().find_map(|group| {
            let of = group.of.column()?;
            let Some(Unnested::Elements(_)) = group.each else { return None };
            let steps = names(of.member.as_ref()?)?;
            let (_, before) = steps.split_last()?;
            let name = of.path(self.source().0);
            let list = before.last()?;
            Some(format!(
                "no row has a list there: a path does not lead into the elements of a list, if {list} is one: {{\"column\": {name:?}, \"path\": {before:?}, \"each\": true}} groups by those"
            ))
        })
    }
}

/// The steps of a path, if they are two names or more.
fn names(path: &Operand) -> Option<Vec<String>> {
    let Source::Text(Some(path)) = &path.source else { return None };
    let steps = elements(path);
    let named = steps.len() > 1 && steps.iter().all(|step| step.parse::<i64>().is_err());
    named.then_some(steps)
}
