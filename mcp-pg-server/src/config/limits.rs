//! `[limits]` and `[roles.NAME.limits]`.

use std::num::NonZeroU32;

use mcp_pg_core::Settings;
use mcp_pg_core::policy::RoleLimits;

use super::ConfigError;
use super::faults::Faults;
use super::raw::{LimitKeys, RoleLimitKeys};
use super::resolve::put;
use crate::limits::{CallerLimits, RequestLimits};

/// Applies the keys, and returns the limits per caller and address.
pub(super) fn apply(
    settings: &mut Settings,
    keys: LimitKeys,
    faults: &mut Faults,
) -> RequestLimits {
    let limits = &mut settings.limits;
    // The default limit follows a smaller `max_rows`.
    if let (Some(max), None) = (keys.max_rows, keys.default_rows) {
        limits.default_rows = limits.default_rows.min(max);
    }
    put(&mut limits.default_rows, keys.default_rows);
    put(&mut limits.max_rows, keys.max_rows);
    put(&mut limits.max_reply_bytes, keys.max_reply_bytes);
    put(&mut limits.max_write_rows, keys.max_write_rows);
    put(&mut limits.max_insert_rows, keys.max_insert_rows);
    put(&mut limits.max_operations, keys.max_operations);
    put(&mut limits.max_depth, keys.max_depth);
    put(&mut limits.max_nodes, keys.max_nodes);
    put(&mut limits.max_list, keys.max_list);
    put(&mut limits.max_pattern, keys.max_pattern);
    put(&mut limits.max_includes, keys.max_includes);
    put(&mut limits.max_joins, keys.max_joins);
    put(&mut limits.max_related, keys.max_related);
    put(&mut limits.max_keys, keys.max_keys);
    let sizes = [
        ("max_reply_bytes", limits.max_reply_bytes),
        ("max_insert_rows", limits.max_insert_rows),
        ("max_operations", limits.max_operations),
        ("max_depth", limits.max_depth),
        ("max_nodes", limits.max_nodes),
        ("max_list", limits.max_list),
        ("max_pattern", limits.max_pattern),
        ("max_includes", limits.max_includes),
        ("max_joins", limits.max_joins),
        ("max_keys", limits.max_keys),
        ("max_request_bytes", keys.max_request_bytes.unwrap_or(1)),
    ];
    let rows = [
        ("max_rows", limits.max_rows),
        ("default_rows", limits.default_rows),
        ("max_related", limits.max_related),
    ];
    let rows = rows.into_iter().filter_map(|(key, value)| (value == 0).then_some(key));
    let sizes = sizes.into_iter().filter_map(|(key, value)| (value == 0).then_some(key));
    for key in rows.chain(sizes) {
        faults.add(ConfigError::new(format!("limits.{key}: must be at least 1")));
    }
    if limits.default_rows > limits.max_rows {
        faults.add(ConfigError::new(format!(
            "limits.default_rows ({}) is more than limits.max_rows ({})",
            limits.default_rows, limits.max_rows
        )));
    }
    let every = CallerLimits {
        requests_per_minute: bound("limits.requests_per_minute", keys.requests_per_minute, faults),
        concurrency: bound("limits.concurrency", keys.concurrency, faults),
    };
    let failed = "limits.failed_authentications_per_minute";
    RequestLimits {
        every,
        failed_authentications_per_minute: bound(
            failed,
            keys.failed_authentications_per_minute,
            faults,
        ),
        ..RequestLimits::default()
    }
}

/// The limits of a role's replies, and of each of its callers.
pub(super) fn of_role(
    name: &str,
    keys: &RoleLimitKeys,
    faults: &mut Faults,
) -> (RoleLimits, CallerLimits) {
    let key = |key: &str| format!("roles.{name}.limits.{key}");
    for (name, none) in [
        ("max_rows", keys.max_rows == Some(0)),
        ("max_reply_bytes", keys.max_reply_bytes == Some(0)),
    ] {
        if none {
            faults.add(ConfigError::new(format!("{}: must be at least 1", key(name))));
        }
    }
    let limits = RoleLimits {
        max_rows: keys.max_rows,
        max_reply_bytes: keys.max_reply_bytes,
        statement_timeout: keys.statement_timeout.map(|wait| wait.0),
    };
    let of_caller = CallerLimits {
        requests_per_minute: bound(&key("requests_per_minute"), keys.requests_per_minute, faults),
        concurrency: bound(&key("concurrency"), keys.concurrency, faults),
    };
    (limits, of_caller)
}

fn bound(key: &str, number: Option<u32>, faults: &mut Faults) -> Option<NonZeroU32> {
    faults.note(NonZeroU32::new(number?).ok_or_else(|| {
        ConfigError::new(format!("{key}: must be at least 1; leave it out for no limit"))
    }))
}
