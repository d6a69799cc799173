//! Signals that ask the process to end.

use tokio_util::sync::CancellationToken;

/// A token that SIGINT or SIGTERM cancels, from now on.
#[cfg(unix)]
pub(super) fn stop_on_signal() -> CancellationToken {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        // Registered here, not in the task: a signal may come before that first runs.
        match signal(kind) {
            Ok(mut signals) => {
                let cancel = stop.clone();
                tokio::spawn(async move {
                    signals.recv().await;
                    cancel.cancel();
                });
            }
            Err(error) => {
                tracing::warn!(%error, ?kind, "a signal will not end this process gently")
            }
        }
    }
    stop
}

/// A token that Ctrl-C cancels.
#[cfg(not(unix))]
pub(super) fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        cancel.cancel();
    });
    stop
}
