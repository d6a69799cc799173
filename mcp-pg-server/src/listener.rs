//! Connections of HTTP clients, encrypted or not.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::file;

/// For one handshake; and most that go on at one time.
const PATIENCE: Duration = Duration::from_secs(10);
const HANDSHAKES_MOST: usize = 256;
/// After a failure that is not one connection's: no file descriptors are left, for instance.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections.
pub(crate) struct Connections {
    tcp: TcpListener,
    tls: Option<Certificate>,
    handshakes: JoinSet<io::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Connections {
    pub(crate) fn new(tcp: TcpListener, tls: Option<Certificate>) -> Self {
        Self { tcp, tls, handshakes: JoinSet::new() }
    }
}

impl Listener for Connections {
    type Io = Either<TcpStream, TlsStream<TcpStream>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let more = self.handshakes.len() < HANDSHAKES_MOST;
            tokio::select! {
                accepted = self.tcp.accept(), if more => {
                    let Ok((connection, peer)) = accepted else {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    };
                    // Without it, the second packet of a reply waits for the first one's acknowledgement: 40 ms.
                    if let Err(error) = connection.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY was not set");
                    }
                    let Some(Certificate(tls)) = &self.tls else { return (Either::Left(connection), peer) };
                    // A client that takes its time must not keep the others waiting.
                    let handshake = tokio::time::timeout(PATIENCE, tls.accept(connection));
                    self.handshakes.spawn(async move { Ok((handshake.await??, peer)) });
                }
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Ok((connection, peer))) = done {
                        return (Either::Right(connection), peer);
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl Connected<IncomingStream<'_, Connections>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Connections>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// The certificate that this server shows, with its private key.
#[derive(Clone)]
pub struct Certificate(TlsAcceptor);

impl Certificate {
    /// Reads the chain and the key, both PEM files.
    ///
    /// # Errors
    ///
    /// What is wrong with which file, in a sentence.
    pub fn read(chain: &Path, key: &Path) -> Result<Self, String> {
        let named = |path: &Path, error: &dyn fmt::Display| format!("{}: {error}", path.display());
        let read = |path| file::read(path).map_err(|error| named(path, &error));
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&read(chain)?)
            .collect::<Result<_, _>>()
            .map_err(|error| named(chain, &error))?;
        let private =
            PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| named(key, &error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_single_cert(certificates, private)
            .map_err(|error| named(chain, &error))?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}
