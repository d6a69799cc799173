//! A network between two programs of one machine: what one sends reaches the other a moment later.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How to connect to a server behind a socket as if it were so far away, in one direction.
///
/// # Errors
///
/// There is no such socket, or no port to listen on.
pub async fn away(server: &Config, delay: Duration) -> io::Result<Config> {
    let socket = socket(server).ok_or_else(|| io::Error::other("the server has no socket"))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut config = Config::new();
    config.host("127.0.0.1").port(listener.local_addr()?.port()).ssl_mode(SslMode::Disable);
    config.user(server.get_user().unwrap_or_default());
    config.dbname(server.get_dbname().unwrap_or_default());
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = UnixStream::connect(&socket).await else { return };
            let _ = near.set_nodelay(true);
            let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
            tokio::spawn(pass(from_near, to_far, delay));
            tokio::spawn(pass(from_far, to_near, delay));
        }
    });
    Ok(config)
}

fn socket(server: &Config) -> Option<PathBuf> {
    let port = server.get_ports().first().copied().unwrap_or(5_432);
    server.get_hosts().iter().find_map(|host| match host {
        Host::Unix(directory) => Some(directory.join(format!(".s.PGSQL.{port}"))),
        Host::Tcp(_) => None,
    })
}

/// Passes on what arrives, each part so much later, without holding up what comes after it.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    delay: Duration,
) {
    let (under_way, mut arrivals) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((arrival, bytes)) = arrivals.recv().await {
            sleep_until(arrival).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if under_way.send((Instant::now() + delay, bytes[..count].to_vec())).is_err() {
            return;
        }
    }
}
