//! A pooler in transaction mode, which gives all clients the same session.

use std::sync::Arc;

use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::Database;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, NoTls};

/// What a client is told when it connects, and the session, once the first client has connected.
type Session = Arc<Mutex<Option<(Vec<u8>, UnixStream)>>>;

/// One message: its kind and the whole of it.
async fn message(from: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let kind = from.read_u8().await.ok()?;
    let length = from.read_u32().await.ok()?;
    let mut rest = vec![0; length as usize - 4];
    from.read_exact(&mut rest).await.ok()?;
    Some((kind, [&[kind], &length.to_be_bytes()[..], &rest].concat()))
}

/// What the session answers, until it is ready again.
async fn answer(session: &mut UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (kind, bytes) = message(session).await.unwrap();
        all.extend(bytes);
        if kind == b'Z' {
            return all;
        }
    }
}

async fn serve(mut client: TcpStream, session: Session, socket: std::path::PathBuf) -> Option<()> {
    let length = client.read_u32().await.ok()?;
    let mut greeting = vec![0; length as usize - 4];
    client.read_exact(&mut greeting).await.ok()?;
    {
        let mut session = session.lock().await;
        if session.is_none() {
            let mut server = UnixStream::connect(&socket).await.unwrap();
            server.write_all(&[&length.to_be_bytes()[..], &greeting].concat()).await.unwrap();
            let welcome = answer(&mut server).await;
            *session = Some((welcome, server));
        }
        let (welcome, _) = session.as_ref().unwrap();
        client.write_all(welcome).await.ok()?;
    }
    let mut batch = Vec::new();
    loop {
        let (kind, bytes) = message(&mut client).await?;
        if kind == b'X' {
            return None;
        }
        batch.extend(bytes);
        if matches!(kind, b'S' | b'Q') {
            let mut session = session.lock().await;
            let (_, server) = session.as_mut().unwrap();
            server.write_all(&batch).await.unwrap();
            let answered = answer(server).await;
            client.write_all(&answered).await.ok()?;
            batch.clear();
        }
    }
}

/// The address of such a pooler.
async fn pooled(backend: &Config) -> Config {
    let [Host::Unix(directory)] = backend.get_hosts() else { panic!("{backend:?}") };
    let socket = directory.join(format!(".s.PGSQL.{}", backend.get_ports()[0]));
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = front.local_addr().unwrap().port();
    tokio::spawn(async move {
        let session = Session::default();
        loop {
            let (client, _) = front.accept().await.unwrap();
            tokio::spawn(serve(client, session.clone(), socket.clone()));
        }
    });
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).ssl_mode(SslMode::Disable);
    config.user(backend.get_user().unwrap()).dbname(backend.get_dbname().unwrap());
    config
}

/// Nothing is left in its session: other programs would find themselves read-only.
#[tokio::test]
async fn a_pooler_that_shares_sessions_is_refused_before_anything_is_set() {
    let database = Database::of("CREATE TABLE item (id integer PRIMARY KEY)").await;
    let config = pooled(&database.config).await;
    let (other, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let refused = Engine::connect(config.clone(), Settings::default()).await.unwrap_err();
        assert!(refused.to_string().contains("pooler"), "{refused}");
        assert!(!refused.is_retryable());
        let insert = "INSERT INTO item SELECT count(*) FROM item";
        other.execute_typed(insert, &[]).await.unwrap();
        let set = "SELECT concat(current_setting('statement_timeout'), current_setting('mcp_pg.begun', true))";
        let rows = other.query_typed(set, &[]).await.unwrap();
        assert_eq!(rows[0].get::<_, &str>(0), "0");
    }
}
