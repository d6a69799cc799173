//! The room for included rows. PostgreSQL gathers them in its memory and copies them there several times, before a reply can be
//! found too large.

use super::include::Include;
use crate::policy::Limits;

/// The most bytes of all included rows of one row. PostgreSQL takes a few times as much.
const MOST: usize = 32 << 20;

/// How many times larger than its JSON a row can be as PostgreSQL sends it: nested rows contain types and lengths.
pub(crate) const WIRE_MOST: usize = 8;

/// The most bytes that rows of an include may have, as PostgreSQL sends them. Masked values count the same whatever their lengths,
/// which would reveal something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Each row.
    Each(usize),
    /// All rows together, which PostgreSQL must add up.
    All(usize),
}

impl Room {
    /// Gives the includes of a request equal shares of the room.
    pub(super) fn share(includes: &mut [Include<'_>], limits: &Limits) {
        let most = MOST / count(includes).max(1);
        give(includes, most, limits.max_reply_bytes);
    }

    /// The room of one include, of `most` bytes altogether. A row takes up to half a reply without being refused, whatever
    /// else there may be; what is refused otherwise would not fit into a `reply`, either.
    fn of(include: &Include<'_>, most: usize, reply: usize) -> Self {
        let rows = usize::try_from(include.limit.saturating_add(1)).unwrap_or(usize::MAX);
        let longest = reply.saturating_mul(WIRE_MOST);
        match most / rows {
            each if each >= reply / 2 && !include.is_masked() => Room::Each(each.min(longest)),
            _ => Room::All(most.clamp(reply.saturating_mul(2), longest)),
        }
    }
}

fn give(includes: &mut [Include<'_>], most: usize, reply: usize) {
    for include in includes {
        include.room = Room::of(include, most, reply);
        give(&mut include.includes, most, reply);
    }
}

/// The number of includes whose rows are gathered.
fn count(includes: &[Include<'_>]) -> usize {
    let of = |include: &Include<'_>| {
        usize::from(!include.counted && !include.hop.is_to_one()) + count(&include.includes)
    };
    includes.iter().map(of).sum()
}

impl Include<'_> {
    /// Whether its rows, or those included in them, have masked values.
    pub(crate) fn is_masked(&self) -> bool {
        self.columns.iter().any(|shown| shown.is_masked(self.hop.table))
            || self.includes.iter().any(Include::is_masked)
    }
}
