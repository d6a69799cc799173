//! Connections of HTTP clients, encrypted or not: their number and time limits.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::file;

/// How long running calls may take after the signal to stop.
const GRACE: Duration = Duration::from_secs(10);
/// The maximum size of a request's head, and of what is read ahead of a body, in bytes. A token may have some thousands.
const HEAD_MOST: usize = 64 << 10;
/// The pause after a failure to accept that is not due to one connection, for instance when there are no file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// The minimum time between two lines of the log about such failures.
const SILENCE: Duration = Duration::from_secs(10);

/// Where clients connect.
pub(crate) struct Listener {
    pub(crate) tcp: TcpListener,
    pub(crate) tls: Option<Certificate>,
    /// The maximum number of connections at one time; more wait to be accepted.
    pub(crate) max_connections: usize,
    /// The timeout for the handshake, for the head of each request, for a client to read a reply, and between requests. Slower
    /// connections are closed.
    pub(crate) patience: Duration,
}

impl Listener {
    /// Serves until `stop` is cancelled; then waits for running calls, for ten seconds at most.
    pub(crate) async fn serve(self, app: Router, stop: CancellationToken) {
        let Self { tcp, tls, max_connections, patience } = self;
        let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
        let graceful = GracefulShutdown::new();
        let hang_up = CancellationToken::new();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(HEAD_MOST);
        let mut told: Option<Instant> = None;
        loop {
            let accepted = async {
                let place = places.clone().acquire_owned().await;
                tcp.accept().await.map(|accepted| (accepted, place))
            };
            let ((connection, peer), place) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accepted => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        if told.is_none_or(|last| last.elapsed() >= SILENCE) {
                            tracing::warn!(%error, "no connection can be accepted");
                            told = Some(Instant::now());
                        }
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            let (app, tls, http, watcher) =
                (app.clone(), tls.clone(), http.clone(), graceful.watcher());
            let hang_up = hang_up.clone();
            tokio::spawn(async move {
                // Whoever takes their time over the handshake keeps nobody else waiting.
                let connected = tokio::time::timeout(patience, connect(connection, tls)).await;
                let Ok(Ok(connection)) = connected else { return };
                let mut connection = TimeoutStream::new(connection);
                connection.set_write_timeout(Some(patience));
                let service = service_fn(move |mut request: hyper::Request<Incoming>| {
                    request.extensions_mut().insert(ConnectInfo(peer));
                    app.clone().oneshot(request)
                });
                let served = http.serve_connection(TokioIo::new(Box::pin(connection)), service);
                let served = hang_up.run_until_cancelled_owned(watcher.watch(served));
                if let Some(Err(error)) = served.await {
                    tracing::debug!(%error, %peer, "a connection ended");
                }
                drop(place);
            });
        }
        drop(tcp);
        // Whoever is still at it then is hung up on.
        let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
        hang_up.cancel();
    }
}

async fn connect(
    connection: TcpStream,
    tls: Option<Certificate>,
) -> io::Result<Either<TcpStream, TlsStream<TcpStream>>> {
    // Without it, the second packet of a reply waits for the first one's acknowledgement: 40 ms.
    connection.set_nodelay(true)?;
    Ok(match tls {
        None => Either::Left(connection),
        Some(certificate) => {
            let acceptor = TlsAcceptor::from(certificate.0.load_full());
            Either::Right(acceptor.accept(connection).await?)
        }
    })
}

/// The server's certificate, with its private key. Clones share it.
#[derive(Clone)]
pub struct Certificate(Arc<ArcSwap<ServerConfig>>);

impl Certificate {
    /// Reads the chain and the key, both PEM files.
    ///
    /// # Errors
    ///
    /// What is wrong with which file, as a sentence that begins with the file's key in the configuration.
    pub fn read(chain: &Path, key: &Path) -> Result<Self, String> {
        let of_chain =
            |error: &dyn fmt::Display| format!("tls_certificate: {}: {error}", chain.display());
        let of_key = |error: &dyn fmt::Display| format!("tls_key: {}: {error}", key.display());
        let pem = file::read(chain).map_err(|error| of_chain(&error))?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| of_chain(&error))?;
        if certificates.is_empty() {
            return Err(of_chain(&"has no certificate"));
        }
        let pem = file::read(key).map_err(|error| of_key(&error))?;
        let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
            pem::Error::NoItemsFound => of_key(&"has no private key"),
            error => of_key(&error),
        })?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_single_cert(certificates, private)
            .map_err(|error| of_chain(&error))?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(config))))
    }

    /// Replaces it for new connections.
    pub fn replace(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}
