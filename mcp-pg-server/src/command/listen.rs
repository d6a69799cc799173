//! `http`: serves MCP over HTTP, if the login is safe enough for that.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mcp_pg_core::Engine;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::session::{self, Session};
use super::signal::stop_on_signal;
use super::{Failure, descriptors, posture, reload};
use crate::auth::{Credentials, ENDPOINT, ProtectedResource};
use crate::cli::Common;
use crate::config::{Config, ConfigError, Environment};
use crate::http::{self, MAX_CONNECTIONS, ServiceOptions};
use crate::limits::Limiter;
use crate::listener::Certificate;
use crate::metrics::Metrics;

/// How often to look whether the issuer's keys have changed.
const LOOK: Duration = Duration::from_secs(2);

/// Serves until a signal ends it.
pub(super) async fn serve(
    address: &str,
    common: &Common,
    config: Config,
    environment: &Environment,
) -> Result<Session, Failure> {
    let source = reload::Source::new(common, environment, &config);
    let listener = bind(address, config.auth.is_some()).await?;
    let bound = listener.local_addr()?;
    let certificate = certificate(&config)?;
    let scheme = if certificate.is_some() { "https" } else { "http" };
    let credentials = credentials(&config)?;
    let mut options = options(&config, &format!("{scheme}://{bound}"));
    match &credentials {
        None => options.caller = Some(session::anonymous(&config)?),
        Some(credentials) => options.authenticator = Some(credentials.clone()),
    }
    let source = source.told_in(options.metrics.clone());
    let allow_unsafe_login = config.allow_unsafe_login;
    let session = Session::open(common, config, environment).await?;
    if let Some(anonymous) = &options.caller {
        session.serves(anonymous)?;
    }
    posture::tell_settings(&session.engine);
    let source = if bound.ip().is_loopback() || allow_unsafe_login {
        let engine = session.engine.clone();
        tokio::spawn(async move { posture::warn(&engine).await });
        source
    } else {
        posture::warn_if_empty(&session.engine);
        refuse_unsafe(&session.engine).await?;
        source.with_bound_login()
    };
    let stop = stop_on_signal();
    let _following = session.follow().await;
    writeln!(std::io::stderr(), "mcp-pg-server: listening on {scheme}://{bound}/mcp")?;
    let replaced = Arc::new(Replaced {
        certificate: certificate.clone(),
        credentials,
        hang_up: options.hang_up.clone(),
        limiter: options.limiter.clone(),
    });
    let renewing = end_streams_with_keys(replaced.credentials.clone(), replaced.hang_up.clone());
    let prepare = move |config: &Config| replaced.clone().prepare(config);
    let serving = http::serve(session.engine.clone(), listener, certificate, options, stop);
    tokio::select! {
        () = serving => {}
        never = renewing => match never {},
        never = source.follow(&session.engine, prepare) => match never {},
    }
    Ok(session)
}

/// The service options of the configuration; `own_url` is the URL that the server listens on.
fn options(config: &Config, own_url: &str) -> ServiceOptions {
    // A request to the host of the public URL is accepted.
    let public = config.server.public_url.as_ref().and_then(|url| url.parse::<::http::Uri>().ok());
    let public_host = public.as_ref().and_then(|url| url.host()).map(str::to_owned);
    ServiceOptions {
        resource: config.auth.as_ref().map(|auth| ProtectedResource {
            url: config.server.public_url.as_deref().unwrap_or(own_url).to_owned() + ENDPOINT,
            authorization_server: auth.jwt.as_ref().map(|jwt| jwt.issuer.clone()),
        }),
        allowed_hosts: config.server.allowed_hosts.iter().cloned().chain(public_host).collect(),
        allowed_origins: config.server.allowed_origins.clone(),
        limiter: Arc::new(Limiter::new(config.request_limits.clone())),
        max_request_bytes: config.max_request_bytes,
        request_timeout: config.server.request_timeout,
        max_connections: Some(descriptors::room(
            config.server.max_connections.unwrap_or(MAX_CONNECTIONS),
            config.settings.limits.max_connections,
        )),
        metrics: Arc::new(Metrics::default()),
        state_key: config.server.state_key.clone(),
        ..ServiceOptions::default()
    }
}

/// The accepted credentials, which can be replaced.
type Accepted = Arc<ArcSwap<Credentials>>;

/// The accepted credentials, if there is `[auth]`. Keys at a URL are read in the background.
fn credentials(config: &Config) -> Result<Option<Accepted>, ConfigError> {
    let Some(auth) = &config.auth else { return Ok(None) };
    let accepted: Accepted = Arc::new(ArcSwap::from_pointee(auth.credentials()?));
    let first = accepted.load_full();
    tokio::spawn(async move { first.prepare().await });
    Ok(Some(accepted))
}

/// Has all streams end when the issuer's keys are others: the token that opened one may be of a key that was withdrawn.
async fn end_streams_with_keys(
    credentials: Option<Accepted>,
    hang_up: watch::Sender<()>,
) -> Infallible {
    let mut known = None;
    loop {
        if let Some(credentials) = &credentials {
            let generation = credentials.load_full().generation().await;
            if known.is_some() && generation.is_some() && generation != known {
                hang_up.send_replace(());
            }
            known = generation.or(known);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What a new configuration replaces in a running server, besides the engine's settings.
struct Replaced {
    certificate: Option<Certificate>,
    credentials: Option<Accepted>,
    hang_up: watch::Sender<()>,
    limiter: Arc<Limiter>,
}

impl Replaced {
    /// Reads everything, refuses from now on the credentials that are gone, and returns a function that replaces it all at once.
    fn prepare(
        self: Arc<Self>,
        config: &Config,
    ) -> Result<impl FnOnce() + Send + use<>, ConfigError> {
        let renewed = certificate(config)?;
        let accepted = match (&config.auth, &self.credentials) {
            (Some(auth), _) => Some(auth.credentials()?),
            // The last one was removed.
            (None, Some(_)) => Some(Credentials::new(Vec::new(), None)),
            (None, None) => None,
        };
        let limits = config.request_limits.clone();
        if let (Some(credentials), Some(accepted)) = (&self.credentials, &accepted) {
            self.accept(accepted.left_of(&credentials.load()));
            if accepted.is_empty() {
                tracing::warn!("the configuration names no credentials: nobody is let in any more");
            }
        }
        Ok(move || {
            self.limiter.replace(limits);
            if let (Some(shown), Some(renewed)) = (&self.certificate, renewed) {
                shown.replace(&renewed);
            }
            if let (Some(credentials), Some(accepted)) = (&self.credentials, accepted) {
                self.accept(accepted.instead_of(&credentials.load()));
            }
        })
    }

    /// Accepts these credentials instead of the running ones, if they are others.
    fn accept(&self, others: Option<Credentials>) {
        if let (Some(credentials), Some(others)) = (&self.credentials, others) {
            credentials.store(Arc::new(others));
            self.hang_up.send_replace(());
        }
    }
}

/// The certificate that the configuration names.
pub(super) fn certificate(config: &Config) -> Result<Option<Certificate>, ConfigError> {
    let files = config.server.certificate.as_ref();
    let read = files.map(|(chain, key)| Certificate::read(chain, key)).transpose();
    read.map_err(|reason| ConfigError::new(format!("server.{reason}")))
}

/// Binds `address`. Addresses beyond loopback need authentication.
async fn bind(address: &str, authenticates: bool) -> Result<TcpListener, Failure> {
    let wrong = |error: std::io::Error| {
        let form = match address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => "",
            _ => "; expected HOST:PORT, such as 127.0.0.1:8080",
        };
        Failure::usage(format!("cannot listen on {address}: {error}{form}"))
    };
    let addresses: Vec<_> = tokio::net::lookup_host(address).await.map_err(wrong)?.collect();
    if !authenticates
        && let Some(open) = addresses.iter().find(|address| !address.ip().is_loopback())
    {
        return Err(Failure::usage(format!(
            "refusing to listen on {open}: without [auth], anyone who reaches it would have the default \
             role; listen on 127.0.0.1"
        )));
    }
    TcpListener::bind(addresses.as_slice()).await.map_err(wrong)
}

/// Refuses a login that could do more than callers are allowed, since the network can reach the server.
async fn refuse_unsafe(engine: &Engine) -> Result<(), Failure> {
    let dangers = posture::dangers(&engine.posture().await?);
    if dangers.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "refusing to listen beyond loopback with this login:\n- {}\n`setup-sql` prints a login that is safe; \
         database.allow_unsafe_login = true accepts this one",
        dangers.join("\n- ")
    )))
}
