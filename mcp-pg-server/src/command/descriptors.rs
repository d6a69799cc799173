//! File descriptors: of clients' connections, so few that the database and the audit log always have theirs.

/// What a server needs besides the connections of clients and those of the pool: its runtime, the connections that follow
/// the schema, keep the audit and cancel statements, and files that are read.
const OWN: usize = 48;

/// Raises the limit on descriptors as far as this process may, and returns how many of the `asked` connections of clients
/// it leaves room for beside `pooled` ones to the database. Logs it if those are fewer.
pub(super) fn room(asked: usize, pooled: usize) -> usize {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit on file descriptors cannot be raised");
        u64::MAX
    });
    let left = left_of(usize::try_from(limit).unwrap_or(usize::MAX), pooled);
    if left < asked {
        tracing::warn!(
            "server.max_connections = {asked}, but no more than {left} connections are accepted at a time, since the limit \
             on file descriptors is {limit}: raise it (ulimit -Hn, LimitNOFILE)"
        );
    }
    asked.min(left)
}

/// How many connections of clients leave enough descriptors for everything else. A quarter of them at least: otherwise a
/// client that keeps its connection would keep all others away.
fn left_of(limit: usize, pooled: usize) -> usize {
    limit.saturating_sub(pooled.saturating_add(OWN)).max(limit / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_descriptors_for_the_rest() {
        for (limit, pooled, left) in [(1024, 16, 960), (128, 16, 64), (64, 16, 16), (3, 16, 1)] {
            assert_eq!(left_of(limit, pooled), left, "{limit} {pooled}");
        }
        assert_eq!(left_of(usize::MAX, 16), usize::MAX - 64);
        assert_eq!(left_of(64, usize::MAX), 16);
    }
}
