//! Signals that ask the process to end.

use tokio_util::sync::CancellationToken;

/// A token that is cancelled by SIGINT or SIGTERM.
#[cfg(unix)]
pub(super) fn stop_on_signal() -> CancellationToken {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        // Registered here and not in the task, because a signal may arrive before the task runs.
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

/// A token that is cancelled by Ctrl-C.
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
