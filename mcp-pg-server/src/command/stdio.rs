//! `stdio`: MCP on standard input and output, for the one caller who started it.

use std::sync::Arc;

use super::session::Session;
use super::signal::stop_on_signal;
use super::{Exit, Failure, posture, reload};
use crate::cli::{Caller, Common};
use crate::config::{Config, Environment};
use crate::limits::Limiter;
use crate::stdio;

/// Serves until the input ends or a signal arrives, and reloads the configuration meanwhile.
pub(super) async fn serve(
    common: &Common,
    config: Config,
    environment: &Environment,
    caller: Caller,
) -> Result<Exit, Failure> {
    let limiter = Arc::new(Limiter::new(config.request_limits.clone()));
    let source = reload::Source::new(common, environment, &config);
    let (session, caller) = Session::of(common, config, environment, caller).await?;
    posture::tell_settings(&session.engine);
    let engine = session.engine.clone();
    tokio::spawn(async move { posture::warn(&engine).await });
    let stop = stop_on_signal();
    let _following = session.follow().await;
    let serving = stdio::serve(session.engine.clone(), caller, limiter.clone(), stop);
    let prepare = move |config: &Config| {
        let (limiter, limits) = (limiter.clone(), config.request_limits.clone());
        Ok(move || limiter.replace(limits))
    };
    let served = tokio::select! {
        served = serving => served,
        never = source.follow(&session.engine, prepare) => match never {},
    };
    let closed = session.close().await;
    served.map_err(|message| Failure { exit: Exit::Finding, message })?;
    closed
}
